// The integer-key family as a processor on the unmodified JavaScript SDK: node intkey.js URL
//
// As python/intkey.py beside it; what is not a map of Verb, Name and Value is refused.
'use strict'

const { createHash } = require('crypto')
const cbor = require('cbor')
const { TransactionProcessor } = require('sawtooth-sdk/processor')
const { TransactionHandler } = require('sawtooth-sdk/processor/handler')
const { InvalidTransaction, InternalError } = require('sawtooth-sdk/processor/exceptions')

const VALUE_MAX = 2 ** 32 - 1
const NAME_MAX_CHARS = 20

const address = (name) => '1cf126' + createHash('sha512').update(name).digest('hex').slice(-64)

class IntegerKey extends TransactionHandler {
  constructor () {
    super('intkey', ['1.0'], ['1cf126'])
  }

  async apply (request, context) {
    let content
    try {
      content = cbor.decodeFirstSync(Buffer.from(request.payload))
    } catch (error) {
      throw new InvalidTransaction('Invalid payload serialization')
    }
    const { Verb: verb, Name: name, Value: value } = content || {}
    if (!['set', 'inc', 'dec'].includes(verb)) throw new InvalidTransaction('Verb must be "set", "inc", or "dec"')
    if (typeof name !== 'string' || name.length > NAME_MAX_CHARS) {
      throw new InvalidTransaction(`Name must be a string of no more than ${NAME_MAX_CHARS} characters`)
    }
    if (!Number.isInteger(value) || value < 0 || value > VALUE_MAX) {
      throw new InvalidTransaction(`Value must be an integer from 0 to ${VALUE_MAX}`)
    }
    const where = address(name)
    const kept = (await context.getState([where]))[where]
    const numbers = kept && kept.length ? cbor.decodeFirstSync(kept) : {}
    if ((verb === 'set') === (name in numbers)) {
      throw new InvalidTransaction(`Verb is "${verb}", and "${name}" is ${name in numbers ? numbers[name] : 'not set'}`)
    }
    const result = verb === 'set' ? value : verb === 'inc' ? numbers[name] + value : numbers[name] - value
    if (result < 0 || result > VALUE_MAX) {
      throw new InvalidTransaction(`Verb is "${verb}", and the result would not be from 0 to ${VALUE_MAX}`)
    }
    const set = await context.setState({ [where]: cbor.encode({ ...numbers, [name]: result }) })
    if (!set.length) throw new InternalError('State error')
  }
}

const processor = new TransactionProcessor(process.argv[2])
processor.addHandler(new IntegerKey())
processor.start()
