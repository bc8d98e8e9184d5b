// Decodes payloads, one a line in hexadecimal, and encodes the commands a host sends: with the library of the
// specification's own project, not with ours.
const sparkplug = require("sparkplug-payload").get("spBv1.0");
const plain = (key, value) =>
  value && typeof value === "object" && typeof value.toNumber === "function" ? value.toString() : value;
const lines = require("fs").readFileSync(0, "utf8").trim().split("\n");
for (const line of lines) {
  const task = JSON.parse(line);
  if (task.decode !== undefined) {
    console.log(JSON.stringify(sparkplug.decodePayload(Buffer.from(task.decode, "hex")), plain));
  } else {
    console.log(JSON.stringify(Buffer.from(sparkplug.encodePayload(task.encode)).toString("hex")));
  }
}
