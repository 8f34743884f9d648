/** Runs a program in this one's place: same terminal, same signals, same end. */

import { spawn } from 'node:child_process';

/** @type {readonly NodeJS.Signals[]} */
const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Never returns: this process ends as the program ends.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} [env]
 */
export function become(program, args, env = process.env) {
  const child = spawn(program, args, { stdio: 'inherit', env });
  for (const signal of FORWARDED) process.on(signal, () => child.kill(signal));
  onRunnerGone(() => child.kill('SIGTERM'));
  child.on('error', (error) => {
    console.error(`understudy: ${program} cannot be started: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    for (const name of FORWARDED) process.removeAllListeners(name);
    // Whoever waits for this process sees the same signal.
    process.kill(process.pid, signal);
  });
}

/** Whoever started this process. Asked at once: an installation may come before the program. */
const RUNNER = process.ppid;
const PARENT_POLL_MS = 250;
/** The exit code of a program that Ctrl-C ended. */
const INTERRUPTED = 130;

/**
 * npm that is told to stop ends the shell between itself and this process, and does not pass the signal on: the program
 * would go on without anybody, on a port that the next start wants.
 * @param {() => void} stop
 */
function onRunnerGone(stop) {
  if (process.env.npm_lifecycle_event === undefined) return;
  const timer = setInterval(() => {
    if (process.ppid === RUNNER) return;
    clearInterval(timer);
    stop();
  }, PARENT_POLL_MS);
  timer.unref();
}

/**
 * Runs a program and waits for its end. Answers its exit code; 1 where a signal or the timeout ended it. Where this
 * process is told to stop, it stops with the program and does not go on to the next one.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ cwd: string, env?: NodeJS.ProcessEnv, timeoutMs: number, output?: number, shell?: boolean }} options
 *   `output` is the file descriptor that gets all of what it prints; else each stream goes where it belongs.
 * @returns {Promise<number>}
 */
export function runToEnd(program, args, { cwd, env = process.env, timeoutMs, output, shell = false }) {
  return new Promise((done, fail) => {
    const shown = output ?? 'inherit';
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', shown, shown], shell });
    const timer = setTimeout(() => {
      console.error(`understudy: ${args.slice(0, 2).join(' ')} did not end within the time that there is.`);
      child.kill('SIGKILL');
    }, timeoutMs);
    const stop = () => {
      child.kill('SIGTERM');
      child.on('exit', () => process.exit(INTERRUPTED));
    };
    for (const signal of FORWARDED) process.on(signal, stop);
    child.on('error', fail);
    child.on('exit', (code) => {
      clearTimeout(timer);
      for (const signal of FORWARDED) process.off(signal, stop);
      done(code ?? 1);
    });
  });
}
