/** Models, put together: the way out, who speaks which protocol, and the router over all of them, which can be changed. */

import type { Clock } from './clock.ts';
import type { Ids } from './ids.ts';
import type { Log } from './log.ts';
import type { Meters } from './metrics/meters.ts';
import { createAiSdkProviders } from './providers/ai-sdk/providers.ts';
import { createOpenAiProvider } from './providers/openai/openai-provider.ts';
import { createAddressCheck } from './providers/outbound/address-check.ts';
import { type Circuits, createCircuits } from './providers/outbound/circuit.ts';
import { createPlainClient } from './providers/outbound/http1/client.ts';
import { createUpstream, type Upstream } from './providers/outbound/upstream.ts';
import type { Router } from './providers/provider.ts';
import { createRehearsalProvider } from './providers/rehearsal/rehearsal-provider.ts';
import { type BaseUrlPolicy, toHostRule } from './providers/routing/base-url.ts';
import type { LocalServer } from './providers/routing/local-servers.ts';
import type { ModelSettings } from './providers/routing/provider-settings.ts';
import { createReloadableRouter } from './providers/routing/reloadable-router.ts';
import { createRouter } from './providers/routing/router.ts';
import { createWatsonxProvider } from './providers/watsonx/watsonx-provider.ts';

/** What the operator says of models, which may change while the server runs. */
export interface ModelConfig {
  /** Providers and models beside OpenAI's key and base URL. */
  readonly models: ModelSettings;
  readonly openAiApiKey: string | null;
  readonly openAiBaseUrl: string | null;
}

export interface OutboundSettings {
  /** Whether a request may send its run to another server on this machine: not where others than its users can ask. */
  readonly allowLoopbackUpstreams: boolean;
  /** Whether calls to the internet leave by a proxy. */
  readonly hasProxy: boolean;
  /** The only hosts, each `host` or `host:port`, that may be called; empty: any. */
  readonly onlyUpstreams: readonly string[];
  /** Tells this server's own address: it must not ask itself. */
  readonly isSelf: (baseUrl: string) => boolean;
}

export interface ModelsDeps {
  readonly version: string;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly meters: Meters;
  /** Found on this machine, where no other was configured. */
  readonly localServer: LocalServer | null;
}

export interface Models {
  readonly router: Router;
  readonly circuits: Circuits;
  /** For requests that come from now on. */
  change(next: ModelConfig): void;
}

export function composeModels(settings: ModelConfig & OutboundSettings, deps: ModelsDeps): Models {
  const { clock, localServer } = deps;
  let { allowedHosts } = settings.models;
  const policy: BaseUrlPolicy = {
    get allowedHosts() {
      return allowedHosts;
    },
    allowLoopback: settings.allowLoopbackUpstreams,
    isSelf: settings.isSelf,
  };
  const circuits = composeCircuits(deps);
  const adapters = composeAdapters(composeUpstream(settings, deps, policy, circuits), deps);
  const toRouter = ({ models, openAiApiKey, openAiBaseUrl }: ModelConfig): Router =>
    createRouter({
      ...adapters,
      operator: { apiKey: openAiApiKey, baseUrl: openAiBaseUrl },
      settings: models,
      localServer,
      policy,
      clock,
    });
  const { router, replace } = createReloadableRouter(toRouter(settings));
  return {
    router,
    circuits,
    change(next) {
      allowedHosts = next.models.allowedHosts;
      replace(toRouter(next));
    },
  };
}

function composeCircuits({ clock, log, meters }: ModelsDeps): Circuits {
  return createCircuits({
    clock,
    onChange(view) {
      const { provider, host, use, state, failures } = view;
      meters.circuits.changed(view);
      log.warn('provider.circuit', { provider, host, use, state, failures });
    },
  });
}

function composeUpstream(
  { hasProxy, onlyUpstreams }: OutboundSettings,
  { version, meters }: ModelsDeps,
  policy: BaseUrlPolicy,
  circuits: Circuits,
): Upstream {
  return createUpstream({
    fetch,
    plain: createPlainClient(),
    userAgent: `understudy/${version}`,
    addressCheck: createAddressCheck({
      policy: { allowLoopback: policy.allowLoopback, isNamed: toHostRule(policy) },
    }),
    circuits,
    onCall: meters.noteOutbound,
    isProxied: hasProxy,
    onlyHosts: onlyUpstreams,
  });
}

function composeAdapters(upstream: Upstream, { clock, ids, log, meters }: ModelsDeps) {
  const wire = { upstream, clock, ids, log, onRetry: meters.noteRetry };
  return {
    openai: createOpenAiProvider(wire),
    protocols: { ...createAiSdkProviders(wire), watsonx: createWatsonxProvider(wire) },
    rehearsal: createRehearsalProvider({ clock, ids }),
  };
}
