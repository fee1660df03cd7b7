// The kafkajs client with every codec, and the few steps that each file of checks takes.

const { CompressionCodecs, CompressionTypes, Kafka, logLevel } = require('kafkajs')
const snappy = require('kafkajs-snappy')
const lz4 = require('lz4js')
const xxh32 = require('lz4js/xxh32.js')
const { ZstdCodec } = require('zstd-codec')

const { bootstrap, equal, eventually, unique } = require('./harness.js')

CompressionCodecs[CompressionTypes.Snappy] = snappy
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async (encoder) => independent(Buffer.from(lz4.compress(encoder.buffer))),
  decompress: async (buffer) => Buffer.from(lz4.decompress(buffer)),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from((await zstd()).compress(encoder.buffer)),
  decompress: async (buffer) => Buffer.from((await zstd()).decompress(buffer)),
})

// Kafka wants the flag of independent blocks, which lz4js does not set; with one block per batch
// it is true. The byte after the two of the frame's descriptor is their checksum.
function independent(frame) {
  frame[4] |= 0x20
  frame[6] = (xxh32.hash(0, frame, 4, 2) >> 8) & 0xff
  return frame
}

function zstd() {
  return new Promise((resolve) => ZstdCodec.run((codec) => resolve(new codec.Simple())))
}

const kafka = new Kafka({
  clientId: 'a-node-client',
  brokers: [bootstrap],
  logLevel: logLevel.ERROR,
  retry: { initialRetryTime: 100, retries: 8 },
})

async function withAdmin(body) {
  const admin = kafka.admin()
  await admin.connect()
  try {
    return await body(admin)
  } finally {
    await admin.disconnect()
  }
}

async function withProducer(options, body) {
  const producer = kafka.producer({ allowAutoTopicCreation: false, ...options })
  await producer.connect()
  try {
    return await body(producer)
  } finally {
    await producer.disconnect()
  }
}

// Creates a topic and waits until each partition is served: upstream may answer before.
async function create(name, numPartitions = 1, configs = {}) {
  const topic = unique(name)
  const configEntries = Object.entries(configs).map(([key, value]) => ({ name: key, value }))
  await withAdmin(async (admin) => {
    const topics = [{ topic, numPartitions, replicationFactor: 1, configEntries }]
    equal(await admin.createTopics({ topics, waitForLeaders: false }), true, 'created')
    await eventually('partitions served', async () => {
      const offsets = await admin.fetchTopicOffsets(topic).catch(() => [])
      return offsets.length === numPartitions
    })
  })
  return topic
}

async function sendValues(topic, partitions, values) {
  const messages = values.map((value, n) => ({ value, partition: n % partitions }))
  await withProducer({}, (producer) => producer.send({ topic, messages }))
}

// A consumer of a group that notes what it reads and what it owns.
class Member {
  constructor(group, topic, options = {}) {
    this.topic = topic
    this.messages = []
    this.owned = []
    this.errors = []
    this.consumer = kafka.consumer({
      groupId: group,
      sessionTimeout: 10_000,
      heartbeatInterval: 300,
      maxWaitTimeInMs: 100,
      ...options,
    })
    const { CRASH, GROUP_JOIN } = this.consumer.events
    this.consumer.on(GROUP_JOIN, ({ payload }) => {
      this.owned = payload.memberAssignment[topic] ?? []
    })
    this.consumer.on(CRASH, ({ payload }) => this.errors.push(payload.error))
  }

  async start(run = {}) {
    await this.consumer.connect()
    await this.consumer.subscribe({ topics: [this.topic], fromBeginning: true })
    await this.consumer.run({
      eachMessage: async ({ partition, message }) => {
        this.messages.push({ partition, ...message })
      },
      ...run,
    })
    return this
  }

  async stop() {
    await this.consumer.disconnect()
    this.owned = []
  }

  // Waits for `count` messages and returns them; there must not be more.
  async take(count) {
    await eventually(`${count} messages`, () => this.messages.length >= count, 30)
    equal(this.messages.length, count, 'messages')
    return this.messages
  }
}

// All messages of a topic, which must be `count`.
async function read(topic, count) {
  const member = await new Member(unique(`read-${topic}`), topic).start({ autoCommit: false })
  try {
    return await member.take(count)
  } finally {
    await member.stop()
  }
}

module.exports = { CompressionTypes, Member, create, read, sendValues, withAdmin, withProducer }
