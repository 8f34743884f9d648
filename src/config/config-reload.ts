/** The configuration of a server that runs: what of it may change without a restart is read anew. */

import type { Log } from '../log.ts';
import { type Config, findChangedSettings, readConfig, readTextFile } from './config.ts';
import { createConfigWatch } from './config-watch.ts';
import type { ModelSections } from './provider-config-schema.ts';

export interface ConfigReload {
  /** As it was read at the start. */
  readonly config: Config;
  /** What the file says of models, as it was read last. */
  sections(): ModelSections | null;
  readonly hasChanged: () => boolean;
  /**
   * Reads everything anew, and answers the sections of models. Other settings are named in the log: they need a restart. Throws
   * `ConfigError`, and keeps what was read before.
   */
  read(log: Log): ModelSections | null;
}

/** Throws `ConfigError`. */
export function createConfigReload(argv: readonly string[]): ConfigReload {
  const watch = createConfigWatch(readTextFile);
  const config = readConfig(argv, watch.readFile);
  let { sections } = config;
  return {
    config,
    sections: () => sections,
    hasChanged: watch.hasChanged,
    read(log) {
      watch.begin();
      const next = readConfig(argv, watch.readFile);
      const changed = findChangedSettings(config.settings, next.settings);
      if (changed.length > 0) {
        log.warn('settings that need a restart have changed', { settings: changed.join(', ') });
      }
      for (const warning of next.warnings) log.warn(warning);
      sections = next.sections;
      return sections;
    },
  };
}
