// The call of one fire: the body, the headers and the signature that webhookcron sends (webhookcron/delivery/request.py).
import { createHmac } from 'node:crypto';

/** What signs calls to Standard Webhooks 1.0; `secret` is `whsec_…`. */
export function signer(secret) {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  return (id, timestamp, body) =>
    'v1,' + createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64');
}

/** Body and headers of the fire of a job at `scheduledAtMs`, signed for now. */
export function callOf(job, scheduledAtMs, sign) {
  const executionId = `${job.id}-${scheduledAtMs}`;
  const scheduledAt = new Date(scheduledAtMs).toISOString();
  const timestamp = String(Math.floor(Date.now() / 1000));
  const body = JSON.stringify({
    type: 'webhookcron.fire',
    timestamp: scheduledAt,
    data: {
      jobId: job.id,
      jobName: job.name,
      executionId,
      scheduledAt,
      attempt: 1,
      trigger: 'schedule',
    },
  });
  const headers = {
    'Content-Type': 'application/json',
    'User-Agent': 'webhookcron-benchmark',
    'X-Webhookcron-Job-Id': job.id,
    'X-Webhookcron-Execution-Id': executionId,
    'X-Webhookcron-Scheduled-At': scheduledAt,
    'X-Webhookcron-Scheduled-At-Ms': String(scheduledAtMs),
    'X-Webhookcron-Attempt': '1',
    'X-Webhookcron-Trigger': 'schedule',
    'webhook-id': executionId,
    'webhook-timestamp': timestamp,
    'webhook-signature': sign(executionId, timestamp, body),
  };
  return { body, headers };
}

/** The job of that number; ids are as long as webhookcron's. */
export function jobOf(number) {
  return { id: String(number).padStart(24, '0'), name: `benchmark job ${number}` };
}

/** The first fire time of job `number` of `jobs`: they are spread over `spreadMs` from `firstAtMs`. */
export function firstFireMs({ firstAtMs, spreadMs, jobs }, number) {
  return firstAtMs + Math.floor((number * spreadMs) / jobs);
}
