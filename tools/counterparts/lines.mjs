// How the tests speak to a counterpart: a JSON object in each line of its standard input, one in each
// line of its standard output.
//
//   <- {"ready":{…}}                      once, when it can be asked
//   -> {"ask":"name", …}                  one at a time
//   <- {"answer":…} or {"error":"…"}      in the order of the questions
//
// It ends when its standard input does, so that it cannot outlive whoever started it, and on SIGTERM.

import { createInterface } from 'node:readline'

const send = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)

/** Answers questions by functions of their names until standard input ends; then runs `end`. */
export async function serve(questions, { ready = {}, end = () => {} } = {}) {
  const lines = createInterface({ input: process.stdin, crlfDelay: Infinity })
  process.on('SIGTERM', () => lines.close())
  process.stdout.on('error', () => lines.close())
  send({ ready })
  for await (const line of lines) {
    try {
      const { ask, ...arguments_ } = JSON.parse(line)
      if (!Object.hasOwn(questions, ask)) throw new Error(`nobody here answers ${ask}`)
      send({ answer: (await questions[ask](arguments_)) ?? null })
    } catch (error) {
      send({ error: error.code ? `${error.code}: ${error.message}` : String(error.message ?? error) })
    }
  }
  await end()
  process.exit(0)
}
