// The classic design: node-cron in a scheduler process, a lock in Redis (SET NX) so that several schedulers would fire
// once, a BullMQ queue, and workers that call by axios. One program, two roles. Option: a JSON object as the only argument.
import { Agent } from 'node:http';

import axios from 'axios';
import { Queue, Worker } from 'bullmq';
import Redis from 'ioredis';
import cron from 'node-cron';

import { failed, failures, forEachNumber, serve } from './commands.mjs';
import { callOf, jobOf, signer } from './request.mjs';

const { role, socket, concurrency, connectionsPerHost, signingSecret } = JSON.parse(process.argv[2]);
const QUEUE = 'fires';
const LOCK_MS = 60_000;
const TIMEOUT_MS = 30_000;
const SECOND_MS = 1_000;

const connection = { path: socket, maxRetriesPerRequest: null };

async function scheduler() {
  const redis = new Redis(connection);
  const queue = new Queue(QUEUE, {
    connection,
    defaultJobOptions: { removeOnComplete: { count: 0 }, removeOnFail: { count: 1000 } },
  });
  redis.on('error', failed);
  queue.on('error', failed);
  let tasks = [];

  async function tick(job, url, scheduledAtMs) {
    const won = await redis.set(`lock:${job.id}:${scheduledAtMs}`, process.pid, 'PX', LOCK_MS, 'NX');
    if (won) await queue.add(job.name, { id: job.id, url, scheduledAtMs });
  }

  async function register({ jobs, firstAtMs, everyMs, spreadMs, url }) {
    if (spreadMs) throw new Error('cron expressions cannot be spread over a second');
    const first = new Date(firstAtMs);
    const pattern =
      everyMs === SECOND_MS ? '* * * * * *' : `${first.getUTCSeconds()} ${first.getUTCMinutes()} * * * *`;
    await forEachNumber(jobs, 1, (number) => {
      const job = jobOf(number);
      const fire = ({ date }) => {
        const scheduledAtMs = Math.floor(date.getTime() / SECOND_MS) * SECOND_MS;
        if (scheduledAtMs >= firstAtMs) tick(job, url, scheduledAtMs).catch(failed);
      };
      const options = { timezone: 'Etc/UTC', suppressMissedWarning: true };
      tasks.push(cron.schedule(pattern, fire, options));
    });
    return { registered: jobs };
  }

  await queue.waitUntilReady();
  await serve(
    {
      register,
      failures: () => ({ ...failures }),
      unfinished: async () => ({ jobs: await queue.getJobCountByTypes('active', 'waiting') }),
      pause: async () => {
        for (const task of tasks) await task.destroy();
        tasks = [];
      },
      empty: async () => void (await queue.obliterate({ force: true })),
      resume: () => {},
    },
    async () => {
      for (const task of tasks) await task.destroy();
      await queue.close();
      redis.disconnect();
    },
  );
}

async function deliverer() {
  const sign = signer(signingSecret);
  const httpAgent = new Agent({ keepAlive: true, maxSockets: connectionsPerHost });
  const client = axios.create({ httpAgent, timeout: TIMEOUT_MS, proxy: false });

  async function fire({ name, data: { id, url, scheduledAtMs } }) {
    const { body, headers } = callOf({ id, name }, scheduledAtMs, sign);
    await client.post(url, body, { headers });
  }

  const worker = new Worker(QUEUE, fire, { connection, concurrency });
  worker.on('error', failed);
  worker.on('failed', (_job, error) => failed(error));
  await worker.waitUntilReady();
  await serve(
    {
      failures: () => ({ ...failures }),
      pause: async () => void (await worker.pause()),
      resume: () => void worker.resume(),
    },
    async () => {
      await worker.close();
      httpAgent.destroy();
    },
  );
}

await (role === 'ticker' ? scheduler() : deliverer());
