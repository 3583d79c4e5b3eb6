// nodemailer's pooled transport in the jobs of one BullMQ worker process.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(`${process.env.BENCH_NODE}/`);
const { Queue, Worker } = require("bullmq");
const nodemailer = require("nodemailer");
const IORedis = require("ioredis");

const task = JSON.parse(process.argv[2]);
const AT_ONCE = 500;

const connect = () => new IORedis(task.redis, { maxRetriesPerRequest: null });
const queue = new Queue("bench", { connection: connect() });
for (let first = 0; first < task.count; first += AT_ONCE) {
  const jobs = [];
  for (let number = first; number < Math.min(first + AT_ONCE, task.count); number += 1) {
    jobs.push({
      name: "mail",
      data: { from: task.from, to: task.to, subject: `x ${number}`, text: task.body },
      opts: { removeOnComplete: true },
    });
  }
  await queue.addBulk(jobs);
}

const transport = nodemailer.createTransport({
  host: "127.0.0.1",
  port: task.port,
  secure: false,
  ignoreTLS: true,
  pool: true,
  maxConnections: task.connections,
  maxMessages: Infinity,
});
const worker = new Worker("bench", (job) => transport.sendMail(job.data), {
  connection: connect(),
  autorun: false,
  // More jobs than connections at a time, so that no connection waits for Redis.
  concurrency: 2 * task.connections,
});
worker.on("failed", (job, error) => {
  console.error(error);
  process.exit(1);
});
await worker.waitUntilReady();

const lines = createInterface({ input: process.stdin });
lines.once("line", () => worker.run());
lines.once("close", () => process.exit(0));
console.log("ready");
