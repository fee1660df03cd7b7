"use strict";
// Starts the KafkaContainer of Testcontainers for Node in both of its modes on the images named in the
// environment, and tries it out with kafkajs: topics, records, a group. One line of JSON a mode.

const assert = require("node:assert");
const { KafkaContainer } = require("@testcontainers/kafka");
const { GenericContainer, Network, getContainerRuntimeClient } = require("testcontainers");
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

// The module takes a forwarded port for an open one: a slow broker is not there yet when it has started.
function client(bootstrap) {
  return new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING, retry: { retries: 10 } });
}

async function tryOut(bootstrap) {
  const kafka = client(bootstrap);
  const admin = kafka.admin();
  await admin.connect();
  assert.strictEqual((await admin.describeCluster()).brokers.length, 1);
  const topics = [{ topic: "words" }, { topic: "orders", numPartitions: 3 }];
  await admin.createTopics({ topics, waitForLeaders: true });
  assert((await admin.listTopics()).includes("orders"), "the list of topics has no orders");
  const producer = kafka.producer();
  await producer.connect();
  const messages = VALUES.map((value) => ({ key: "key", value, headers: { length: String(value.length) } }));
  await producer.send({ topic: "words", messages });
  await producer.disconnect();
  await consume(kafka, (message) => {
    assert.strictEqual(message.key.toString(), "key");
    assert.strictEqual(Number(message.headers.length), message.value.length);
  });
  const offsets = await admin.fetchOffsets({ groupId: "readers", topics: ["words"] });
  assert.strictEqual(offsets[0].partitions[0].offset, String(VALUES.length), "the group's offset");
  await admin.disconnect();
}

/** Reads all values as a group and commits; `check` sees each message. */
async function consume(kafka, check) {
  const consumer = kafka.consumer({ groupId: "readers" });
  await consumer.connect();
  await consumer.subscribe({ topic: "words", fromBeginning: true });
  const seen = [];
  const all = new Promise((resolve, reject) => {
    consumer.run({
      eachMessage: async ({ message }) => {
        try {
          check(message);
        } catch (thrown) {
          reject(thrown);
        }
        seen.push(message.value.toString());
        if (seen.length === VALUES.length) resolve();
      },
    });
  });
  await withinLimit(all, "consuming");
  const offset = String(VALUES.length);
  await consumer.commitOffsets([{ topic: "words", partition: 0, offset }]);
  await consumer.disconnect();
  assert.deepStrictEqual(seen, VALUES);
}

/** Produces from a second container on the network, by the alias, what is then consumed from here. */
async function tryOutFromBeside(bootstrap, network) {
  const beside = await new GenericContainer(process.env.APACHE_IMAGE)
    .withNetwork(network)
    .withCommand(["sleep", "120"])
    .start();
  try {
    const produce = `printf '%s\\n' ${VALUES.join(" ")} | kafka-console-producer --bootstrap-server kafka:9092 --topic words`;
    const result = await beside.exec(["bash", "-c", produce]);
    assert.strictEqual(result.exitCode, 0, `a producer on the network: ${result.output}`);
  } finally {
    await beside.stop();
  }
  await consume(client(bootstrap), () => {});
}

async function run(mode, container, check) {
  let seconds = 0;
  let error = "";
  let started;
  try {
    const begin = process.hrtime.bigint();
    started = await container.start();
    seconds = Number(process.hrtime.bigint() - begin) / 1e9;
    await check(`${started.getHost()}:${started.getMappedPort(9093)}`);
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
      await run(mode, container(), tryOut);
    }
  }
  const network = await new Network().start();
  const container = new KafkaContainer(confluent).withNetwork(network).withNetworkAliases("kafka");
  await run("KafkaContainer, KRaft, on a network", container, (bootstrap) => tryOutFromBeside(bootstrap, network));
  await network.stop();
  console.log("end node");
}

main();
