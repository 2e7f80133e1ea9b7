// The mount's side of the interop test: ordinary file I/O below DIR.
//
//   mounted.mjs fill DIR    writes a tree, all in /from-mount
//   mounted.mjs edit DIR    changes what the SDK wrote
//   mounted.mjs tree DIR    prints the manifest of all files, each read in full
import fs from 'node:fs';
import { join } from 'node:path';
import { bytes, entry, lengths, names, sorted } from './content.mjs';

// No holes: the SDK joins the chunks it finds, so it misreads a sparse file.
function fill(top) {
  const dir = join(top, 'from-mount');
  fs.mkdirSync(join(dir, 'deep/a/b/c/d'), { recursive: true });
  fs.mkdirSync(join(dir, 'sizes'));
  fs.mkdirSync(join(dir, 'names'));
  for (const [i, length] of lengths.entries())
    fs.writeFileSync(join(dir, 'sizes', String(length)), bytes(length, 20 + i));
  for (const [i, name] of names.entries())
    fs.writeFileSync(join(dir, 'names', name), bytes(200 + i, 40 + i));

  fs.writeFileSync(join(dir, 'large'), bytes(3000000, 60));
  fs.writeFileSync(join(dir, 'small'), 'small\n');
  fs.writeFileSync(join(dir, 'shorten'), bytes(200000, 61));
  fs.writeFileSync(join(dir, 'overwritten'), bytes(10, 62));
  fs.writeFileSync(join(dir, 'zeros'), Buffer.alloc(200000));
  fs.writeFileSync(join(dir, 'private'), 'x', { mode: 0o600 });
  fs.chmodSync(join(dir, 'private'), 0o4750);
  fs.utimesSync(join(dir, 'private'), 1000000000.5, 1234567890.25);
  for (const name of ['rename-me', 'unlink-me', 'one-of-two'])
    fs.writeFileSync(join(dir, name), `${name}\n`);
  fs.linkSync(join(dir, 'one-of-two'), join(dir, 'deep/two-of-two'));
  fs.symlinkSync('sizes/1', join(dir, 'link'));
  fs.symlinkSync('étrange', join(dir, 'deep/unicode-link'));
}

function patch(path, position, data) {
  const fd = fs.openSync(path, 'r+');
  fs.writeSync(fd, data, 0, data.length, position);
  fs.closeSync(fd);
}

function edit(top) {
  patch(join(top, 'sizes/300000'), 4090, bytes(20, 90));
  patch(join(top, 'sizes/4096'), 4096, bytes(5000, 91));
  fs.appendFileSync(join(top, 'sizes/10'), bytes(100, 92));
  fs.truncateSync(join(top, 'sizes/65537'), 4097);
  fs.truncateSync(join(top, 'sizes/8192'), 0);
  fs.writeFileSync(join(top, 'sizes/65536'), bytes(40000, 93));
  fs.renameSync(join(top, 'deep/moved-to'), join(top, 'moved-again'));
  fs.renameSync(join(top, 'deep/a/b'), join(top, 'b'));
  fs.renameSync(join(top, 'sizes/4097'), join(top, 'sizes/4095'));
  fs.unlinkSync(join(top, 'names/été'));
  fs.rmdirSync(join(top, 'empty'));
  fs.linkSync(join(top, 'zeros'), join(top, 'zeros-too'));
  fs.unlinkSync(join(top, 'deep/dangling'));
}

function seconds(nanoseconds) {
  return Number(nanoseconds / 1000000000n);
}

function printTree(top, path = '/') {
  const full = join(top, path);
  const st = fs.lstatSync(full, { bigint: true });
  const times = { mtime: seconds(st.mtimeNs), ctime: seconds(st.ctimeNs) };
  const { ino, mode, nlink, uid, gid, size } = st;
  const attributes = { ino, mode, nlink, uid, gid, size, ...times };
  if (st.isSymbolicLink()) {
    const target = fs.readlinkSync(full);
    if (Number(size) !== Buffer.byteLength(target))
      throw new Error(`${path}: a symlink of ${size} bytes has the target ${target}`);
    console.log(entry(path, attributes, { kind: 'symlink', target }));
  } else if (st.isFile()) {
    console.log(entry(path, attributes, { kind: 'file', data: fs.readFileSync(full) }));
  } else {
    console.log(entry(path, attributes, { kind: 'directory' }));
    for (const name of sorted(fs.readdirSync(full)))
      printTree(top, join(path, name));
  }
}

const [command, dir] = process.argv.slice(2);
const commands = { fill, edit, tree: printTree };
commands[command](dir);
