// kafkajs: producing, consuming, groups.

const { PartitionAssigners } = require('kafkajs')

const { check, equal, eventually, refused, unique } = require('./harness.js')
const { CompressionTypes, Member, create, read, sendValues, withAdmin, withProducer } =
  require('./kafka.js')

// Old enough to be no other time, and young enough not to be deleted by retention.
const START = Date.now() - 3_600_000
const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
}

function range(from, to) {
  return Array.from({ length: to - from }, (_, n) => from + n)
}

// Sends with every codec and every acks into one topic, so that one group reads it all.
async function roundTrips() {
  const topic = await create('n-round-trips')
  const sent = []
  for (const [name, compression] of Object.entries(CODECS)) {
    for (const acks of [0, 1, -1]) {
      const messages = range(0, 50).map((n) => ({
        key: n % 5 === 0 ? null : `key ${n}`,
        value: n % 7 === 0 ? null : `${name} ${acks} ${n} ${'ab'.repeat(n % 90)}`,
        headers: { trace: ['one', 'two'], number: String(n) },
        timestamp: String(START + n),
        partition: 0,
      }))
      await withProducer({}, async (producer) => {
        const answer = await producer.send({ topic, messages, acks, compression })
        if (acks !== 0) equal(answer[0].baseOffset, String(sent.length), `${name} ${acks}`)
        // Without an answer the records are still on their way.
        else await withAdmin((admin) => reaches(admin, topic, sent.length + 50))
      })
      sent.push(...messages)
    }
  }
  const got = await read(topic, sent.length)
  equal(got.map(({ offset }) => offset), range(0, sent.length).map(String), 'offsets')
  got.forEach((message, n) => {
    equal(text(message.key), sent[n].key, 'key')
    equal(text(message.value), sent[n].value, 'value')
    equal(message.timestamp, sent[n].timestamp, 'timestamp')
    equal(message.headers.trace.map(text), ['one', 'two'], 'repeated header')
    equal(text(message.headers.number), sent[n].headers.number, 'header')
  })
}

function text(buffer) {
  return buffer === null ? null : buffer.toString()
}

async function reaches(admin, topic, offset) {
  await eventually(`offset ${offset}`, async () => {
    const [{ high }] = await admin.fetchTopicOffsets(topic)
    return high === String(offset)
  })
}

async function idempotent() {
  const topic = await create('n-idempotent')
  await withProducer({ idempotent: true }, async (producer) => {
    for (const n of range(0, 20)) {
      const messages = range(0, 10).map((m) => ({ value: String(n * 10 + m), partition: 0 }))
      const [{ baseOffset }] = await producer.send({ topic, messages, acks: -1 })
      equal(baseOffset, String(n * 10), 'offset answered')
    }
  })
  equal((await read(topic, 200)).map(({ value }) => text(value)), range(0, 200).map(String))
}

async function autoCreated() {
  const topic = unique('n-auto')
  await withProducer({ allowAutoTopicCreation: true }, async (producer) => {
    const [{ partition, baseOffset }] = await producer.send({ topic, messages: [{ value: 'a' }] })
    equal([partition, baseOffset], [0, '0'])
  })
  equal((await read(topic, 1)).map(({ value }) => text(value)), ['a'])
}

async function tooLarge() {
  const topic = await create('n-large', 1, { 'max.message.bytes': '1000' })
  await withProducer({ retry: { retries: 0 } }, async (producer) => {
    const send = (value) => producer.send({ topic, messages: [{ value }] })
    await refused('MESSAGE_TOO_LARGE', () => send('x'.repeat(2000)))
    const [{ baseOffset }] = await send('fits')
    equal(baseOffset, '0')
  })
}

async function unknownTopic() {
  await withProducer({ retry: { retries: 1 } }, (producer) =>
    refused('UNKNOWN_TOPIC_OR_PARTITION', () =>
      producer.send({ topic: unique('n-nowhere'), messages: [{ value: 'a' }] })
    )
  )
}

async function resumes() {
  const topic = await create('n-resume')
  const group = unique('n-resume')
  await sendValues(topic, 1, range(0, 10).map(String))
  const first = await new Member(group, topic).start({ autoCommit: false })
  await first.take(10)
  await first.consumer.commitOffsets([{ topic, partition: 0, offset: '4', metadata: 'a note' }])
  await first.stop()
  await withAdmin(async (admin) => {
    const [found] = await admin.fetchOffsets({ groupId: group, topics: [topic] })
    equal(found.partitions, [{ partition: 0, offset: '4', metadata: 'a note' }])
  })
  const second = await new Member(group, topic).start({ autoCommit: false })
  equal((await second.take(6)).map(({ offset }) => offset), range(4, 10).map(String))
  await second.stop()
}

async function seeks() {
  const topic = await create('n-seek')
  await sendValues(topic, 1, range(0, 10).map(String))
  const member = new Member(unique('n-seek'), topic)
  await member.start({ autoCommit: false })
  await member.take(10)
  member.messages.length = 0
  member.consumer.seek({ topic, partition: 0, offset: '7' })
  equal((await member.take(3)).map(({ offset }) => offset), ['7', '8', '9'])
  await member.stop()
}

// Waits until the members own that many partitions each, and every partition exactly once.
async function settle(members, sizes) {
  const partitions = sizes.reduce((sum, size) => sum + size, 0)
  await eventually(
    `assignment of ${sizes}`,
    () => {
      const owned = members.map((member) => member.owned)
      const every = owned.flat().sort()
      const lengths = owned.map((list) => list.length).sort()
      return String(lengths) === String(sizes) && String(every) === String(range(0, partitions))
    },
    40
  )
}

async function shares() {
  const topic = await create('n-share', 6)
  const group = unique('n-share')
  const partitionAssigners = [PartitionAssigners.roundRobin]
  const sent = range(0, 60).map((n) => `a${n}`)
  await sendValues(topic, 6, sent)
  const members = [await new Member(group, topic, { partitionAssigners }).start()]
  await settle(members, [6])
  await members[0].take(60)
  members.push(await new Member(group, topic, { partitionAssigners }).start())
  members.push(await new Member(group, topic, { partitionAssigners }).start())
  await settle(members, [2, 2, 2])
  await members[1].stop()
  await settle(members, [0, 3, 3])
  const more = range(0, 60).map((n) => `b${n}`)
  await sendValues(topic, 6, more)
  const values = () => members.flatMap((member) => member.messages.map((m) => text(m.value)))
  await eventually('every record read', () => values().length >= 120, 30)
  equal(values().sort(), [...sent, ...more].sort(), 'records read by the group')
  equal(members.flatMap((member) => member.errors), [], 'crashes')
  await members[0].stop()
  await members[2].stop()
}

async function described() {
  const topic = await create('n-described')
  const group = unique('n-described')
  const member = await new Member(group, topic).start()
  await settle([member], [1])
  const told = await member.consumer.describeGroup()
  equal([told.groupId, told.state, told.protocolType], [group, 'Stable', 'consumer'])
  equal(told.members.map((m) => [m.clientId, m.clientHost]), [['a-node-client', '/127.0.0.1']])
  await withAdmin((admin) =>
    refused('NON_EMPTY_GROUP', () => admin.deleteGroups([group]))
  )
  await member.stop()
  await withAdmin(async (admin) => {
    const listed = async () => (await admin.listGroups()).groups.map(({ groupId }) => groupId)
    equal((await listed()).includes(group), true, 'listed')
    await admin.deleteGroups([group])
    equal((await listed()).includes(group), false, 'listed after the delete')
  })
}

async function run() {
  await check('every_codec_and_acks_round_trips', roundTrips, 90)
  await check('idempotent_producer_keeps_order', idempotent)
  await check('a_topic_is_created_on_first_produce', autoCreated)
  await check('a_record_too_large_is_refused', tooLarge)
  await check('an_unknown_topic_is_told', unknownTopic)
  await check('group_resumes_from_commit', resumes)
  await check('a_consumer_seeks', seeks)
  await check('three_members_share_partitions', shares, 90)
  await check('a_group_is_described_and_deleted', described)
}

module.exports = { run }
