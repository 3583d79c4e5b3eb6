// BullMQ: how fast add and addBulk queue what nodemailer would send.
import { createRequire } from "node:module";

const require = createRequire(`${process.env.BENCH_NODE}/`);
const { Queue } = require("bullmq");
const IORedis = require("ioredis");

const task = JSON.parse(process.argv[2]);
const AT_ONCE = 500;
const connection = new IORedis(task.redis, { maxRetriesPerRequest: null });
const queue = new Queue("bench", { connection });
await queue.waitUntilReady();

const job = (number) => ({
  name: "mail",
  data: { from: task.from, to: task.to, subject: `x ${number}`, text: task.body },
  opts: { removeOnComplete: true },
});

// The first time is for warming up.
const timed = async (run, count) => {
  await run(0);
  const began = performance.now();
  for (let number = 1; number <= count; number += 1) await run(number);
  return (1000 * count) / (performance.now() - began);
};

const add = await timed((number) => {
  const one = job(number);
  return queue.add(one.name, one.data, one.opts);
}, Math.max(50, Math.floor(task.count / 5)));
const bulk = await timed(
  (step) => queue.addBulk(Array.from({ length: AT_ONCE }, (_, more) => job(step * AT_ONCE + more))),
  Math.max(1, Math.floor(task.count / AT_ONCE)),
);
console.log(JSON.stringify({ add, addBulk: bulk * AT_ONCE }));
process.exit(0);
