// The SDK's side of the interop test.
//
//   peer.mjs fill DB     writes a tree, key-value pairs and tool calls
//   peer.mjs edit DB     changes what the mount wrote
//   peer.mjs tree DB     prints the manifest of all files, each read in full
//   peer.mjs state DB    prints the key-value pairs and the tool calls
import { AgentFS } from 'agentfs-sdk';
import { bytes, entry, lengths, names, sorted } from './content.mjs';

async function fill({ fs, kv, tools }) {
  for (const [i, length] of lengths.entries())
    await fs.writeFile(`/sizes/${length}`, bytes(length, i));
  for (const [i, name] of names.entries())
    await fs.writeFile(`/names/${name}`, bytes(100 + i, i));
  await fs.writeFile('/deep/a/b/c/d/e/f', 'at the bottom\n');
  await fs.writeFile('/zeros', Buffer.alloc(20000));
  await fs.mkdir('/empty');
  await fs.symlink('sizes/4097', '/link');
  await fs.symlink('nowhere', '/deep/dangling');
  await fs.symlink('/étrange/' + 'long/'.repeat(60), '/deep/long');

  await fs.writeFile('/moved-from', bytes(5000, 70));
  await fs.rename('/moved-from', '/deep/moved-to');
  await fs.copyFile('/sizes/65537', '/deep/copy');
  await fs.writeFile('/gone', 'x');
  await fs.unlink('/gone');
  await fs.mkdir('/gone-too');
  await fs.rmdir('/gone-too');
  const patched = await fs.open('/sizes/300000');
  await patched.pwrite(4000, bytes(9000, 71));
  const shortened = await fs.open('/sizes/131072');
  await shortened.truncate(100001);

  await kv.set('a', 1);
  await kv.set('object', { list: [1, 'two', null], 'ключ': '値' });
  await kv.set('long', 'v'.repeat(100000));
  const id = await tools.start('search', { query: 'cairn' });
  await tools.success(id, { hits: 3 });
  await tools.record('build', 1700000000, 1700000005, { target: 'all' }, undefined, 'failed');
}

async function edit({ fs, kv }) {
  const file = await fs.open('/from-mount/large');
  await file.pwrite(65000, bytes(3000, 80));
  const appended = await fs.open('/from-mount/small');
  await appended.pwrite((await appended.fstat()).size, Buffer.from('appended by the SDK'));
  const shortened = await fs.open('/from-mount/shorten');
  await shortened.truncate(70001);
  await fs.writeFile('/from-mount/overwritten', bytes(123456, 81));
  await fs.rename('/from-mount/rename-me', '/from-mount/renamed-by-sdk');
  await fs.unlink('/from-mount/unlink-me');
  await fs.unlink('/from-mount/one-of-two');
  await fs.writeFile('/from-sdk/new/été', 'new\n');
  await fs.symlink('../from-mount/large', '/from-sdk/link');
  await kv.set('edited', true);
}

async function printTree(fs, path = '/') {
  const st = await fs.lstat(path);
  if (st.isSymbolicLink()) {
    console.log(entry(path, st, { kind: 'symlink', target: await fs.readlink(path) }));
  } else if (st.isFile()) {
    console.log(entry(path, st, { kind: 'file', data: await fs.readFile(path) }));
  } else {
    console.log(entry(path, st, { kind: 'directory' }));
    for (const name of sorted(await fs.readdir(path)))
      await printTree(fs, path === '/' ? `/${name}` : `${path}/${name}`);
  }
}

async function printState({ kv, tools }) {
  for (const pair of await kv.list(''))
    console.log(JSON.stringify(pair));
  for (const call of await tools.getRecent(0))
    console.log(JSON.stringify(call));
}

const [command, path] = process.argv.slice(2);
const agent = await AgentFS.open({ path });
try {
  if (command === 'fill')
    await fill(agent);
  else if (command === 'edit')
    await edit(agent);
  else if (command === 'tree')
    await printTree(agent.fs);
  else if (command === 'state')
    await printState(agent);
  else
    throw new Error(`unknown command: ${command}`);
} finally {
  await agent.close();
}
