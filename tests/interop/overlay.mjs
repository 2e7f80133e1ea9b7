// An overlay as AgentFS shows it: a whiteout hides a path and all below it, else a path is what the
// SDK finds in the workspace, or what the base directory has there. Whiteouts come as JSON on
// standard input: the SDK has no overlays of its own.
//
//   overlay.mjs tree DB BASE    prints the manifest of all files, each read in full
//   overlay.mjs plain DIR       the same of a directory
import { AgentFS } from 'agentfs-sdk';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { join } from 'node:path';
import { sorted } from './content.mjs';

function print(path, mode, what) {
  console.log(JSON.stringify({ path, mode: Number(mode).toString(8), ...what }));
}

function file(data) {
  return { size: data.length, sha256: createHash('sha256').update(data).digest('hex') };
}

// The names in a directory, or none where there is no directory.
function names(dir) {
  try {
    return fs.lstatSync(dir).isDirectory() ? fs.readdirSync(dir) : [];
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR')
      return [];
    throw error;
  }
}

function printPlain(top, path, below) {
  const full = join(top, path);
  const st = fs.lstatSync(full);
  if (st.isSymbolicLink())
    print(path, st.mode, { target: fs.readlinkSync(full) });
  else if (st.isFile())
    print(path, st.mode, file(fs.readFileSync(full)));
  else
    print(path, st.mode, {});
  return st.isDirectory() && below(path);
}

async function printOwn(agent, path, st, below) {
  if (st.isSymbolicLink())
    print(path, st.mode, { target: await agent.readlink(path) });
  else if (st.isFile())
    print(path, st.mode, file(await agent.readFile(path)));
  else
    print(path, st.mode, {});
  return st.isDirectory() && below(path);
}

async function tree(db, base) {
  const whiteouts = new Set(JSON.parse(fs.readFileSync(0)));
  const { fs: agent, close } = await AgentFS.open({ path: db }).then(
    (opened) => ({ fs: opened.fs, close: () => opened.close() }));
  const stat = (path) => agent.lstat(path).catch(() => null);

  async function below(dir) {
    const st = await stat(dir);
    const own = st?.isDirectory() ? await agent.readdir(dir) : [];
    for (const name of sorted(new Set([...own, ...names(join(base, dir))]))) {
      const path = join(dir, name);
      if (whiteouts.has(path))
        continue;
      if (own.includes(name))
        await printOwn(agent, path, await stat(path), below);
      else
        await printPlain(base, path, below);
    }
  }
  await below('/');
  await close();
}

function plain(dir) {
  const below = (path) => {
    for (const name of sorted(fs.readdirSync(join(dir, path))))
      printPlain(dir, join(path, name), below);
  };
  below('/');
}

const [command, ...args] = process.argv.slice(2);
await { tree, plain }[command](...args);
