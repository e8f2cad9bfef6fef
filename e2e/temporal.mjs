// Reads {"pattern", "texts"} as JSON from standard input, and writes for each text whether it matches the pattern, and
// what Temporal reads: the date and time on the wall clock, the time zone and the seconds since 1970. The reading is
// null if Temporal refuses the text.
import { json } from "node:stream/consumers";
import { Temporal } from "@js-temporal/polyfill";

const INSTANT = /T.*(Z|[+-][0-9:]+)$/i;
const WHOLE_SECONDS = { smallestUnit: "second", roundingMode: "floor" };
const seconds = (value) => Math.floor(value.epochMilliseconds / 1000);

function read(text) {
  if (text.includes("[")) {
    const value = Temporal.ZonedDateTime.from(text, { offset: "reject", disambiguation: "compatible" });
    return { wall: value.toPlainDateTime().toString(WHOLE_SECONDS), zone: value.timeZoneId, instant: seconds(value) };
  }
  if (INSTANT.test(text)) {
    const value = Temporal.Instant.from(text);
    return { wall: value.toString(WHOLE_SECONDS).slice(0, -1), zone: null, instant: seconds(value) };
  }
  const wall = /[T ]/i.test(text)
    ? Temporal.PlainDateTime.from(text).toString(WHOLE_SECONDS)
    : Temporal.PlainDate.from(text).toString();
  return { wall, zone: null, instant: null };
}

function readOrRefuse(text) {
  try {
    return read(text);
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

const { pattern, texts } = await json(process.stdin);
const expression = new RegExp(pattern, "u"); // as JSON Schema compiles a pattern
console.log(JSON.stringify(texts.map((text) => ({ matches: expression.test(text), reading: readOrRefuse(text) }))));
