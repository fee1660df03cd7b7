// kafkajs: transactions of the classic protocol.

const { check, equal, eventually, unique } = require('./harness.js')
const { Member, create, sendValues, withAdmin, withProducer } = require('./kafka.js')

function transactional(id, body, options = {}) {
  const own = { transactionalId: id, maxInFlightRequests: 1, idempotent: true }
  return withProducer({ ...own, ...options }, body)
}

function named(prefix, count) {
  return Array.from({ length: count }, (_, n) => `${prefix}${n}`)
}

function messagesOf(values, partition = 0) {
  return values.map((value) => ({ value, partition }))
}

// The values that a new group sees; there must be exactly so many.
async function values(topic, readUncommitted, count) {
  const member = new Member(unique(`read-${topic}-${readUncommitted}`), topic, { readUncommitted })
  await member.start({ autoCommit: false })
  try {
    return (await member.take(count)).map(({ value }) => value.toString())
  } finally {
    await member.stop()
  }
}

async function commitsAndAborts() {
  const topic = await create('nt-seen')
  const committed = []
  const everything = []
  await transactional(unique('nt-seen'), async (producer) => {
    for (let n = 0; n < 8; n++) {
      const some = named(`${n}.`, 3)
      const transaction = await producer.transaction()
      await transaction.send({ topic, messages: messagesOf(some) })
      everything.push(...some)
      if (n % 3 === 1) await transaction.abort()
      else {
        await transaction.commit()
        committed.push(...some)
      }
    }
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: messagesOf(['last']) })
    await transaction.commit()
  })
  equal(await values(topic, false, committed.length + 1), [...committed, 'last'], 'committed')
  equal(await values(topic, true, everything.length + 1), [...everything, 'last'], 'everything')
}

async function fenced() {
  const topic = await create('nt-fenced')
  const id = unique('nt-fenced')
  await transactional(id, async (first) => {
    const open = await first.transaction()
    await open.send({ topic, messages: messagesOf(['first']) })
    await transactional(id, async (second) => {
      const next = await second.transaction()
      await next.send({ topic, messages: messagesOf(['second']) })
      const types = []
      await open.commit().catch((error) => types.push(error.type))
      equal(types, ['INVALID_PRODUCER_EPOCH'], 'the error of the first')
      await next.commit()
    })
  }, { retry: { retries: 8, initialRetryTime: 50 } })
  equal(await values(topic, false, 1), ['second'], 'committed')
  equal(await values(topic, true, 2), ['first', 'second'], 'everything')
}

// Reads in batches, writes them and commits their offsets in one transaction. Every third is aborted
// and done again.
async function chain() {
  const count = 60
  const source = await create('nt-in')
  const target = await create('nt-out')
  const group = unique('nt-chain')
  await sendValues(source, 1, named('v', count))
  let done = 0
  let ended = 0
  let everything = 0
  await transactional(group, async (producer) => {
    while (done < count) {
      const some = named('v', count).slice(done, done + 7)
      const transaction = await producer.transaction()
      await transaction.send({ topic: target, messages: messagesOf(some.map((v) => `${v}!`)) })
      everything += some.length
      const partitions = [{ partition: 0, offset: String(done + some.length) }]
      await transaction.sendOffsets({
        consumerGroupId: group,
        topics: [{ topic: source, partitions }],
      })
      ended++
      if (ended % 3 === 0) await transaction.abort()
      else {
        await transaction.commit()
        done += some.length
      }
      await committedIs(group, source, done)
    }
  })
  const expected = named('v', count).map((value) => `${value}!`)
  equal(await values(target, false, count), expected, 'output')
  equal(everything > count, true, 'some was aborted')
  equal((await values(target, true, everything)).length, everything, 'everything')
  // A member of the group goes on behind what the transactions have committed.
  await sendValues(source, 1, ['next'])
  const member = await new Member(group, source).start({ autoCommit: false })
  equal((await member.take(1)).map(({ value }) => value.toString()), ['next'], 'next of the group')
  await member.stop()
}

// The client does not ask for stable offsets, so a marker may still be on its way.
async function committedIs(groupId, topic, offset) {
  await withAdmin((admin) =>
    eventually(`offset ${offset}`, async () => {
      const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [topic] })
      return partitions[0].offset === String(offset)
    })
  )
}

async function run() {
  await check('commits_and_aborts_are_seen_exactly', commitsAndAborts)
  await check('a_second_producer_of_one_id_fences_the_first', fenced)
  await check('offsets_and_output_of_transactions_are_exactly_once', chain)
}

module.exports = { run }
