// One check per line: `ok node: name` or `FAILED node: name: why`. A check is an async function
// that throws when an answer is not exactly what it must be; it has a deadline.

const assert = require('node:assert/strict')

const bootstrap = process.env.BOOTSTRAP
let failures = 0

// Runs the body and prints whether it passed; one that hangs is left behind.
async function check(name, body, seconds = 60) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${seconds} s`)), seconds * 1000)
  })
  try {
    await Promise.race([body(), late])
    console.log(`ok node: ${name}`)
  } catch (error) {
    failures++
    console.error(error)
    const reason = String(error.message ?? error).replace(/\s+/g, ' ').slice(0, 600)
    console.log(`FAILED node: ${name}: ${reason}`)
  } finally {
    clearTimeout(timer)
  }
}

// Says that all checks ran, and leaves even if a hung check still waits.
function end() {
  console.log('end node')
  process.exit(failures ? 1 : 0)
}

// A topic or group name that no other run uses.
function unique(name) {
  return `${name}-${process.env.RUN_ID}`
}

function equal(actual, expected, what = 'value') {
  try {
    assert.deepEqual(actual, expected)
  } catch (error) {
    throw new Error(`${what}: ${error.message}`)
  }
}

// Calls the body until it gives something true, and returns that.
async function eventually(what, body, seconds = 20) {
  const end = Date.now() + seconds * 1000
  for (;;) {
    const value = await body()
    if (value) return value
    assert.ok(Date.now() < end, `${what}: not within ${seconds} s`)
    await new Promise((resolve) => setTimeout(resolve, 30))
  }
}

// The body must be refused with an error of this Kafka type, for example INVALID_CONFIG.
async function refused(type, body) {
  try {
    await body()
  } catch (error) {
    const found = typesOf(error)
    assert.ok(found.includes(type), `expected ${type}, got ${found}: ${error.message}`)
    return
  }
  assert.fail(`expected ${type}, but there was no error`)
}

// An error may carry others: as its cause, as the one retried, or one for each topic or group.
function typesOf(error) {
  const inner = [error.cause, error.originalError, ...(error.errors ?? []), ...(error.groups ?? [])]
  const types = inner.filter(Boolean).flatMap((each) => typesOf(each.error ?? each))
  return [error.type, ...types].filter(Boolean)
}

module.exports = { bootstrap, check, end, equal, eventually, refused, unique }
