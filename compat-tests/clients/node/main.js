// kafkajs against the broker at BOOTSTRAP.

const admin = require('./admin.js')
const clients = require('./clients.js')
const { end } = require('./harness.js')

async function main() {
  await clients.run()
  await admin.run()
  end()
}

main()
