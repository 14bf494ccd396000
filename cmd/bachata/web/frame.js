// Frames: what is written to the server and what comes from it.

// newID makes an id for a message. A page that is served over plain HTTP to another machine has no randomUUID.
export function newID() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

// parse reads a frame. A number id is kept as text, spelled as it came where the browser tells that: 1.10 is another id
// than 1.1.
export function parse(text) {
  const spelled = new Map();
  const frame = JSON.parse(text, function (key, value, context) {
    if (key === "id" && typeof value === "number") spelled.set(this, context?.source ?? String(value));
    return value;
  });
  if (spelled.has(frame)) frame.id = spelled.get(frame);
  return frame;
}
