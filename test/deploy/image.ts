/**
 * The image without a container engine: its files are made by the steps of the `Dockerfile`, and programs run among them as an engine would
 * run them: in namespaces of their own, on a root that cannot be written, as the user that the file names.
 */

import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { type Copy, findText, findTexts, readCopies, readDockerfile, readEnvironment } from './dockerfile.ts';

const ROOT = resolve(import.meta.dir, '../..');
const STEP_MS = 5 * 60_000;
const UNSHARED = ['unshare', '--mount', '--propagation', 'private'];
/** Engines set it in every container; here it also leads to `chroot`. */
const SEARCH_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** What an engine mounts into every container. */
const MOUNT_POINTS = ['proc', 'dev', 'sys', 'tmp'];

export interface Image {
  /** Its files. */
  readonly root: string;
  /** What `VOLUME` is mounted from. */
  readonly volume: string;
  readonly environment: Readonly<Record<string, string>>;
  /** `65532` */
  readonly userId: string;
  readonly final: ReturnType<typeof readDockerfile>[number];
  /** A command that runs another one in the image. */
  toCommand(words: readonly string[], environment?: Readonly<Record<string, string>>): string[];
  remove(): void;
}

/** Null where this machine can do it; else why not. */
export function findHindrance(): string | null {
  if (process.platform !== 'linux') return 'it needs Linux';
  if (process.getuid?.() !== 0) return 'it needs root';
  const tried = spawnSync(UNSHARED[0] ?? '', [...UNSHARED.slice(1), 'mount', '-t', 'tmpfs', 'none', '/tmp']);
  if (tried.status !== 0) return `namespaces cannot be had here: ${tried.stderr?.toString().trim()}`;
  const { stdout } = spawnSync('ldd', ['--version'], { encoding: 'utf8' });
  return /glibc|gnu/i.test(stdout ?? '') ? null : 'it needs the C library of GNU';
}

/** Follows the `Dockerfile`, but for `npm ci`: the packages of this folder are taken, which are those of the same lock file. */
export function buildImage(): Image {
  const [build, final] = readDockerfile(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'));
  if (build === undefined || final === undefined) throw new Error('The Dockerfile has not two stages.');
  const folder = mkdtempSync(join(tmpdir(), 'understudy-image-'));
  const source = join(folder, 'src');
  mkdirSync(source);
  for (const copy of readCopies(build)) applyCopy(copy, ROOT, source);
  const [install, ...steps] = findTexts(build, 'RUN');
  if (install === undefined || !install.startsWith('npm ci '))
    throw new Error(`The first step is no npm ci: ${install}`);
  symlinkSync(join(ROOT, 'node_modules'), join(source, 'node_modules'));
  const made = join(folder, 'made');
  // Paths of the stage are those below its own root.
  for (const step of steps) runStep(step.replaceAll(' /image', ` ${made}`), source);
  const root = join(folder, 'root');
  mkdirSync(root);
  for (const copy of readCopies(final)) {
    const sources = copy.sources.map((path) => path.replace(/^\/image/, made));
    applyCopy({ ...copy, sources }, '/', root);
  }
  for (const name of MOUNT_POINTS) mkdirSync(join(root, name), { recursive: true });
  rmSync(source, { recursive: true });
  rmSync(made, { recursive: true });
  const [userId = ''] = findText(final, 'USER').split(':');
  const image = { root, volume: join(folder, 'volume'), environment: readEnvironment(final), userId, final };
  // A new volume gets what the image has there, with its owner.
  const [place = ''] = JSON.parse(findText(final, 'VOLUME')) as string[];
  spawnSync('cp', ['-a', join(root, place), image.volume]);
  return {
    ...image,
    toCommand: (words, environment = {}) => toCommand({ ...image, place }, words, environment),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function applyCopy({ sources, target, owner }: Copy, from: string, to: string): void {
  for (const source of sources) {
    // A target that ends in a slash, `.` and several sources are folders; else it is the name of what is copied.
    const isInto = target.endsWith('/') || sources.length > 1;
    const path = join(to, target, isInto && !source.endsWith('/') ? (source.split('/').at(-1) ?? '') : '');
    mkdirSync(dirname(path), { recursive: true });
    cpSync(join(from, source), path, { recursive: true, preserveTimestamps: true, force: true });
    if (owner !== null) spawnSync('chown', ['-R', owner, path]);
    // `cpSync` makes folders with the modes that this process would give them.
    spawnSync('chmod', [`--reference=${join(from, source)}`, path]);
  }
}

function runStep(step: string, folder: string): void {
  const { status, stderr, stdout } = spawnSync('sh', ['-c', step], {
    cwd: folder,
    encoding: 'utf8',
    timeout: STEP_MS,
  });
  if (status !== 0) throw new Error(`${step} ended with ${status}\n${stdout}\n${stderr}`);
}

interface Place extends Pick<Image, 'root' | 'volume' | 'environment' | 'userId'> {
  /** Where the volume is mounted. */
  readonly place: string;
}

function toCommand(
  { root, volume, environment, userId, place }: Place,
  words: readonly string[],
  more: Readonly<Record<string, string>>,
): string[] {
  const mounts = [
    `mount --bind ${root} ${root}`,
    `mount -o remount,bind,ro ${root}`,
    `mount -t tmpfs -o mode=1777 tmpfs ${root}/tmp`,
    `mount -t proc proc ${root}/proc`,
    `mount --rbind /dev ${root}/dev`,
    `mount --bind ${volume} ${root}${place}`,
  ].join(' && ');
  const variables = Object.entries({ PATH: SEARCH_PATH, ...environment, ...more }).map(
    ([name, value]) => `${name}=${value}`,
  );
  const run = `exec env -i "$@"`;
  const chroot = ['chroot', `--userspec=${userId}:${userId}`, '--groups=', root];
  // `env` runs outside, so that the image needs none: the variables are handed down.
  return [...UNSHARED, 'sh', '-c', `${mounts} && ${run}`, 'sh', ...variables, ...chroot, ...words];
}
