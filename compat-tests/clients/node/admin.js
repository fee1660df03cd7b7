// kafkajs: the admin client.

const { ConfigResourceTypes } = require('kafkajs')

const { bootstrap, check, equal, eventually, refused, unique } = require('./harness.js')
const { create, read, sendValues, withAdmin, withProducer } = require('./kafka.js')

async function cluster() {
  await withAdmin(async (admin) => {
    const { brokers, controller, clusterId } = await admin.describeCluster()
    equal(brokers.map(({ host, port }) => `${host}:${port}`), [bootstrap], 'brokers')
    equal(controller, brokers[0].nodeId, 'controller')
    equal(clusterId.length, 22, 'length of the cluster id')
  })
}

async function topics() {
  const topic = await create('na-topic', 2)
  await withAdmin(async (admin) => {
    await admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
    const metadata = async () => (await admin.fetchTopicMetadata({ topics: [topic] })).topics[0]
    await eventually('three partitions', async () => (await metadata()).partitions.length === 3)
    const { brokers } = await admin.describeCluster()
    const node = brokers[0].nodeId
    const { partitions } = await metadata()
    const told = partitions.sort((a, b) => a.partitionId - b.partitionId)
    equal(told.map((p) => [p.partitionId, p.leader, p.replicas, p.isr]), [
      [0, node, [node], [node]],
      [1, node, [node], [node]],
      [2, node, [node], [node]],
    ])
    await admin.deleteTopics({ topics: [topic] })
    await eventually('topic gone', async () => !(await admin.listTopics()).includes(topic))
  })
}

async function wrongTopics() {
  const topic = await create('na-exists', 2)
  await withAdmin(async (admin) => {
    const make = (name, more = {}) =>
      admin.createTopics({ topics: [{ topic: name, numPartitions: 1, ...more }] })
    equal(await make(topic), false, 'created again')
    const configEntries = [{ name: 'retention.ms', value: 'banana' }]
    await refused('INVALID_CONFIG', () => make(unique('na-banana'), { configEntries }))
    await refused('INVALID_TOPIC_EXCEPTION', () => make('no/slashes'))
    await refused('INVALID_REPLICATION_FACTOR', () =>
      make(unique('na-two'), { replicationFactor: 2 })
    )
    await refused('INVALID_PARTITIONS', () =>
      admin.createPartitions({ topicPartitions: [{ topic, count: 1 }] })
    )
  })
}

async function configs() {
  const topic = await create('na-configs', 1, { 'retention.ms': '3600000' })
  await withAdmin(async (admin) => {
    const resource = { type: ConfigResourceTypes.TOPIC, name: topic }
    const alter = (entries) =>
      admin.alterConfigs({
        validateOnly: false,
        resources: [
          {
            ...resource,
            configEntries: Object.entries(entries).map(([name, value]) => ({ name, value })),
          },
        ],
      })
    const values = async () => {
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: [resource],
      })
      const entries = resources[0].configEntries.map((e) => [e.configName, e.configValue])
      const all = Object.fromEntries(entries)
      return [all['retention.ms'], all['segment.ms'], all['cleanup.policy']]
    }
    equal(await values(), ['3600000', '604800000', 'delete'], 'as created')
    // The old AlterConfigs replaces everything that was set.
    await alter({ 'segment.ms': '60000' })
    await eventually('as altered', async () =>
      String(await values()) === String(['604800000', '60000', 'delete'])
    )
    await refused('INVALID_CONFIG', () => alter({ 'retention.ms': 'banana' }))
  })
}

async function offsets() {
  const topic = await create('na-offsets')
  await sendValues(topic, 1, ['a', 'b', 'c', 'd'])
  await withAdmin(async (admin) => {
    const told = async () => {
      const [{ low, high }] = await admin.fetchTopicOffsets(topic)
      return [low, high]
    }
    equal(await told(), ['0', '4'])
    const before = Date.now() - 60_000
    equal(await admin.fetchTopicOffsetsByTimestamp(topic, before), [{ partition: 0, offset: '0' }])
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '3' }] })
    equal(await told(), ['3', '4'])
    equal((await read(topic, 1)).map(({ offset }) => offset), ['3'])
    const groupId = unique('na-offsets')
    const partitions = [{ partition: 0, offset: '3' }]
    await admin.setOffsets({ groupId, topic, partitions })
    const [found] = await admin.fetchOffsets({ groupId, topics: [topic] })
    equal(found.partitions.map((p) => [p.partition, p.offset]), [[0, '3']])
  })
}

async function firstProduce() {
  await withAdmin(async (admin) => {
    for (let n = 0; n < 5; n++) {
      const topic = unique(`na-first-${n}`)
      await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] })
      await withProducer({}, async (producer) => {
        const [{ baseOffset }] = await producer.send({ topic, messages: [{ value: 'first' }] })
        equal(baseOffset, '0')
      })
    }
  })
}

async function run() {
  await check('the_cluster_is_described', cluster)
  await check('topics_are_created_described_and_deleted', topics)
  await check('wrong_topics_are_refused', wrongTopics)
  await check('configs_are_described_and_altered', configs)
  await check('offsets_are_listed_set_and_records_deleted', offsets)
  await check('the_first_produce_after_a_create_never_fails', firstProduce)
}

module.exports = { run }
