// Reads a trail (docs/trail-format.md) with Node.js 22.15 or later and nothing else: checks the chain, prints the records.
//   node trail-reader.mjs FILE [SCREEN.key [KEYSTROKES.key]]
// The keys are those that "openssl cms -decrypt" gives; a trail in clear needs none.
import { createDecipheriv, createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createZstdDecompress } from "node:zlib";

const [path, ...keyFiles] = process.argv.slice(2);
const data = readFileSync(path);
if (data.toString("latin1", 0, 8) !== "DWR1\r\n\x1a\n") throw new Error("this is no trail");
let at = 12 + data.readUInt32BE(8);
const header = JSON.parse(data.toString("utf8", 12, at));
const keys = ["screen", "keystrokes"].map((name, stream) => {
  if (header.keys[name].clear) return Buffer.from(header.keys[name].clear, "base64");
  return keyFiles[stream] && readFileSync(keyFiles[stream]);
});
const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();
const varint = (block, place) => {
  let value = 0, factor = 1, byte;
  do {
    byte = block[place.at++];
    value += (byte & 0x7f) * factor;
    factor *= 128;
  } while (byte & 0x80);
  return value;
};
const unpack = (stream, packed) => new Promise((done, failed) => {
  stream.once("error", failed);
  stream.write(packed, () => done(stream.read() ?? Buffer.alloc(0)));
});

let chain = sha256(data.subarray(0, at));
const unpackers = [];
for (let number = 1; at + 14 <= data.length; number++) {
  const length = data.readUInt32BE(at), stream = data[at + 4], flags = data[at + 5];
  if (!length || at + 14 + length > data.length) break; // cut off here
  const head = data.subarray(at, at + 14), payload = data.subarray(at + 14, at + 14 + length);
  if (stream === 2) {
    console.log(JSON.stringify({ frame: number, clear: JSON.parse(payload) }));
  } else if (keys[stream]) {
    const nonce = Buffer.alloc(12);
    nonce.writeUInt32BE(stream, 0);
    nonce.writeBigUInt64BE(BigInt(number), 4);
    const cipher = createDecipheriv("aes-256-gcm", keys[stream], nonce).setAAD(Buffer.concat([chain, head]));
    cipher.setAuthTag(payload.subarray(-16));
    const packed = Buffer.concat([cipher.update(payload.subarray(0, -16)), cipher.final()]); // throws if anything was changed
    if (flags & 1) unpackers[stream] = createZstdDecompress();
    const block = await unpack(unpackers[stream], packed);
    for (const place = { at: 0, time: 0 }; place.at < block.length; ) {
      place.time += varint(block, place);
      const kind = block[place.at++], channel = varint(block, place), size = varint(block, place);
      const content = block.toString("utf8", place.at, (place.at += size));
      console.log(JSON.stringify({ at: place.time, kind, channel, content }));
    }
  }
  chain = sha256(chain, head, payload);
  at += 14 + length;
}
console.log(JSON.stringify({ chain: chain.toString("hex"), unread: data.length - at }));
