/** `understudy check`: tries a configuration that holds, and says what was found. Makes and changes nothing. */

import type { Config } from '../config/config.ts';
import { checkPort } from './check-port.ts';
import { type AskHost, checkProviders } from './check-providers.ts';
import { type Finding, toLine } from './finding.ts';

export interface CheckDeps {
  /** Looks at the store, as a start would. */
  readonly inspectStore: () => Promise<readonly Finding[]>;
  /** How hosts of providers are asked; null: they are not. */
  readonly askHost: AskHost | null;
  readonly write: (line: string) => void;
}

/** Answers the exit code: 0 where all of it works, 1 where something does not. */
export async function runCheck(config: Config, deps: CheckDeps): Promise<number> {
  const { settings } = config;
  let isGood = true;
  const tell = (findings: readonly Finding[]): void => {
    for (const finding of findings) {
      isGood &&= finding.isGood;
      deps.write(toLine(finding));
    }
  };
  tell([{ part: 'configuration', isGood: true, text: `holds; access: ${toAccessText(config)}` }]);
  // What is odd does not stop a server, so it is told and no failure.
  tell(config.warnings.map((text) => ({ part: 'warning', isGood: true, text })));
  tell(await deps.inspectStore());
  tell([await checkPort({ host: settings.host, port: settings.port, isTls: settings.tlsCert !== '' })]);
  tell(await checkProviders(config, deps.askHost));
  return isGood ? 0 : 1;
}

function toAccessText({ settings, sealingSecret }: Config): string {
  const who = {
    none: 'everybody who reaches the port',
    keys: 'who has a key',
    astra: 'who has a token of Astra',
  };
  const sealing = sealingSecret === null ? 'no UNDERSTUDY_SECRET' : 'UNDERSTUDY_SECRET is set';
  return `${who[settings.auth]}; ${sealing}`;
}
