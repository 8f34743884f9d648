/** What a release asks of Git. */

import { spawnSync } from 'node:child_process';

const GIT_MS = 60_000;
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

export interface Git {
  /** Changed and new files, one a line, as `git status --porcelain` has them; empty where there are none. */
  status(): string;
  hasTag(tag: string): boolean;
  /** Of a folder, from the project's. */
  listFiles(folder: string): string[];
  /** Commits these files alone. */
  commit(files: readonly string[], message: string): void;
  tag(name: string, message: string): void;
}

export function openGit(root: string): Git {
  const run = (...args: readonly string[]): string => {
    const { status, stdout, stderr, error } = spawnSync('git', args, {
      cwd: root,
      encoding: 'utf8',
      timeout: GIT_MS,
      maxBuffer: OUTPUT_BYTES_MAX,
    });
    if (status !== 0) throw new Error(`git ${args[0]}: ${error?.message ?? stderr.trim()}`);
    return stdout.trimEnd();
  };
  return {
    status: () => run('status', '--porcelain'),
    hasTag: (tag) => run('tag', '--list', tag) !== '',
    listFiles: (folder) => run('ls-files', '--', folder).split('\n'),
    commit(files, message) {
      run('commit', '--quiet', '--message', message, '--', ...files);
    },
    tag(name, message) {
      run('tag', '--annotate', name, '--message', message);
    },
  };
}
