// A classic member of kafkajs for a program in another language: `join NAME TOPIC GROUP` and
// `leave NAME` are read by lines, and what befalls a member is told by lines, with the time in
// nanoseconds; see MemberHost.java.

const readline = require('node:readline')
const { Kafka, logLevel } = require('kafkajs')

const members = new Map()

function tell(what, name, detail) {
  const nanos = BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e3)) * 1000n
  process.stdout.write(`${what} ${name} ${nanos} ${detail}\n`)
}

async function join(name, topic, groupId) {
  const kafka = new Kafka({ brokers: [process.env.BOOTSTRAP], logLevel: logLevel.NOTHING })
  const consumer = kafka.consumer({
    groupId, sessionTimeout: 6000, heartbeatInterval: 300, maxWaitTimeInMs: 50,
  })
  let owned = []
  const revoke = () => {
    tell('revoked', name, owned.join(','))
    owned = []
  }
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    if (owned.length) revoke()
    owned = payload.memberAssignment[topic] ?? []
    tell('assigned', name, owned.join(','))
  })
  members.set(name, async () => {
    await consumer.stop()
    revoke()
    await consumer.disconnect()
    tell('left', name, '')
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch, resolveOffset, heartbeat, isRunning, isStale }) => {
      if (!isRunning() || isStale()) return
      for (const message of batch.messages) {
        tell('record', name, `${batch.partition} ${message.offset} ${message.value}`)
        resolveOffset(message.offset)
      }
      const offset = (BigInt(batch.lastOffset()) + 1n).toString()
      try {
        await consumer.commitOffsets([{ topic, partition: batch.partition, offset }])
        tell('committed', name, `${batch.partition}=${offset}`)
      } catch (error) {
        tell('refused', name, String(error.message).replace(/\s+/g, ' '))
        throw error
      }
      await heartbeat()
    },
  })
}

readline.createInterface({ input: process.stdin }).on('line', async (line) => {
  const [command, name, topic, group] = line.split(' ')
  try {
    await (command === 'join' ? join(name, topic, group) : members.get(name)())
  } catch (error) {
    tell('failed', name, String(error.message).replace(/\s+/g, ' '))
  }
}).on('close', () => process.exit(0))
