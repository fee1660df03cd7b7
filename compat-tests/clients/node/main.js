// kafkajs against the broker at BOOTSTRAP.

const admin = require('./admin.js')
const clients = require('./clients.js')
const { end } = require('./harness.js')
const transactions = require('./transactions.js')

async function main() {
  await clients.run()
  await admin.run()
  await transactions.run()
  end()
}

main()
