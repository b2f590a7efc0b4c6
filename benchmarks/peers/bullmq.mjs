// BullMQ job schedulers and undici: one process that registers jobs and runs them. It needs no scheduler of its own, since
// whoever takes a job adds the next one of its scheduler. Option: a JSON object as the only argument.
import { Queue, Worker } from 'bullmq';
import { Agent, request } from 'undici';

import { failed, failures, forEachNumber, serve } from './commands.mjs';
import { callOf, firstFireMs, jobOf, signer } from './request.mjs';

const { socket, concurrency, connectionsPerHost, signingSecret } = JSON.parse(process.argv[2]);
const QUEUE = 'fires';
const REGISTERED_AT_ONCE = 200;
const TIMEOUT_MS = 30_000;

const connection = { path: socket, maxRetriesPerRequest: null };
const sign = signer(signingSecret);
const agent = new Agent({
  connections: connectionsPerHost,
  pipelining: 1,
  headersTimeout: TIMEOUT_MS,
  bodyTimeout: TIMEOUT_MS,
});

async function fire(job) {
  // The id is `repeat:` SCHEDULER `:` FIRE TIME.
  const scheduledAtMs = Number(job.id.slice(job.id.lastIndexOf(':') + 1));
  const { body, headers } = callOf({ id: job.repeatJobKey, name: job.name }, scheduledAtMs, sign);
  const answer = await request(job.data.url, { method: 'POST', body, headers, dispatcher: agent });
  await answer.body.dump();
  if (answer.statusCode < 200 || answer.statusCode > 299) throw new Error(`status ${answer.statusCode}`);
}

const queue = new Queue(QUEUE, { connection });
const worker = new Worker(QUEUE, fire, {
  connection,
  concurrency,
  removeOnComplete: { count: 0 },
  removeOnFail: { count: 1000 },
});
queue.on('error', failed);
worker.on('error', failed);
worker.on('failed', (_job, error) => failed(error));

async function register(command) {
  const { jobs, everyMs, url } = command;
  await forEachNumber(jobs, REGISTERED_AT_ONCE, (number) => {
    const { id, name } = jobOf(number);
    const repeat = { every: everyMs, startDate: firstFireMs(command, number) };
    return queue.upsertJobScheduler(id, repeat, { name, data: { url } });
  });
  return { registered: jobs };
}

await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);
await serve(
  {
    register,
    failures: () => ({ ...failures }),
    unfinished: async () => ({ jobs: await queue.getJobCountByTypes('active', 'waiting') }),
    // Between two workloads: all workers pause, one empties the queue, all go on.
    pause: async () => void (await worker.pause()),
    empty: async () => void (await queue.obliterate({ force: true })),
    resume: () => void worker.resume(),
  },
  async () => {
    await worker.close();
    await queue.close();
    await agent.close();
  },
);
