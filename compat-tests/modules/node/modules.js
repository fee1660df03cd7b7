"use strict";
// Starts the KafkaContainer of Testcontainers for Node in both of its modes on the images named in the
// environment, and produces and consumes with kafkajs. One line of JSON a mode.

const assert = require("node:assert");
const { KafkaContainer } = require("@testcontainers/kafka");
const { getContainerRuntimeClient } = require("testcontainers");
const { Kafka, logLevel } = require("kafkajs");

const VALUES = ["eins", "zwei", "drei"];
const LIMIT = 30_000;

function withinLimit(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within ${LIMIT} ms`)), LIMIT);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function produceAndConsume(bootstrap) {
  const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING });
  const admin = kafka.admin();
  await admin.connect();
  assert.strictEqual((await admin.describeCluster()).brokers.length, 1);
  await admin.createTopics({ topics: [{ topic: "words" }], waitForLeaders: true });
  await admin.disconnect();
  const producer = kafka.producer();
  await producer.connect();
  await producer.send({ topic: "words", messages: VALUES.map((value) => ({ key: "key", value })) });
  await producer.disconnect();
  const consumer = kafka.consumer({ groupId: "readers" });
  await consumer.connect();
  await consumer.subscribe({ topic: "words", fromBeginning: true });
  const seen = [];
  const all = new Promise((resolve) => {
    consumer.run({
      eachMessage: async ({ message }) => {
        seen.push(message.value.toString());
        if (seen.length === VALUES.length) resolve();
      },
    });
  });
  await withinLimit(all, "consuming");
  await consumer.disconnect();
  assert.deepStrictEqual(seen, VALUES);
}

async function run(mode, container) {
  let seconds = 0;
  let error = "";
  let started;
  try {
    const begin = process.hrtime.bigint();
    started = await container.start();
    seconds = Number(process.hrtime.bigint() - begin) / 1e9;
    await produceAndConsume(`${started.getHost()}:${started.getMappedPort(9093)}`);
  } catch (thrown) {
    console.error(thrown);
    error = String(thrown);
  } finally {
    await started?.stop();
  }
  const client = `kafkajs ${require("kafkajs/package.json").version}`;
  console.log(JSON.stringify({ mode, client, seconds: Number(seconds.toFixed(2)), error }));
}

async function main() {
  // What it costs to find the engine is no part of a start.
  await getContainerRuntimeClient();
  const [confluent, apache] = [process.env.CONFLUENT_IMAGE, process.env.APACHE_IMAGE];
  const modes = {
    // The module reads the tag: from 8.0.0 on it is KRaft by itself.
    "KafkaContainer, KRaft by its tag": () => new KafkaContainer(confluent),
    "KafkaContainer.withKraft()": () => new KafkaContainer(confluent).withKraft(),
    "KafkaContainer, embedded ZooKeeper by its tag": () => new KafkaContainer(apache),
  };
  const without = process.env.WITHOUT ?? "";
  for (const [mode, container] of Object.entries(modes)) {
    if (without === "" || !mode.includes(without)) {
      await run(mode, container());
    }
  }
  console.log("end node");
}

main();
