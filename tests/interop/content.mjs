// What both sides of the interop test write: bytes that a seed repeats, and the manifest, one
// JSON line an entry, in which SDK and mount must agree.
import { createHash } from 'node:crypto';

export function bytes(length, seed) {
  const buffer = Buffer.alloc(length);
  let state = (seed * 2654435761 + 1) >>> 0;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    buffer[i] = state >>> 24;
  }
  return buffer;
}

// Names that are valid UTF-8; others are out of the SDK's reach.
export const names = ['plain.txt', 'with space', 'été', '日本語.txt', '🗿', '.hidden',
  'new\nline', '"quote\'\\', '%5f_%', 'x'.repeat(255)];

// Lengths around the edges of chunks of 4 KiB (the SDK's), 64 KiB and more.
export const lengths = [0, 1, 10, 4095, 4096, 4097, 8192, 65535, 65536, 65537, 131072, 300000];

// Where the two may differ: directories' sizes and link counts (the SDK writes 1 always), and
// times of reading. Nanoseconds the SDK does not report.
export function entry(path, st, what) {
  const line = {
    path, ino: Number(st.ino), mode: Number(st.mode).toString(8),
    mtime: st.mtime, ctime: st.ctime,
  };
  if (process.geteuid() === 0)
    Object.assign(line, { uid: Number(st.uid), gid: Number(st.gid) });
  if (what.kind !== 'directory')
    line.nlink = Number(st.nlink);
  if (what.kind === 'file')
    Object.assign(line, { size: Number(st.size), read: what.data.length,
      sha256: createHash('sha256').update(what.data).digest('hex') });
  if (what.kind === 'symlink')
    Object.assign(line, { target: what.target });
  return JSON.stringify(line);
}

// Sorted by the bytes of the names, so that no locale has a say.
export function sorted(list) {
  return [...list].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}
