/** The Helm chart: every combination that matters is rendered, and holds what a cluster needs to run, to end and to watch the server. */

import { beforeAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { parseCommandLine } from '../../src/config/command-line.ts';
import { parseConfig } from '../../src/config/config.ts';
import { CERTIFICATE, CERTIFICATE_KEY } from '../support/certificate.ts';
import { findHindrance, type Manifest, RENDER_MS, type Rendered, renderChart } from './chart.ts';
import { readPageCommands, readPageValues } from './kubernetes-page.ts';

const CLUSTER = { store: 'cassandra', cassandra: { contactPoints: ['cassandra.data'] } };
const SECRETS = {
  UNDERSTUDY_SECRET: 'a-secret-of-sixteen',
  OPENAI_API_KEY: 'sk-1',
  UNDERSTUDY_CASSANDRA_PASSWORD: 'p',
};

/** What it is, by its name; each must render without a fault. */
const CASES = {
  plain: {},
  cluster: CLUSTER,
  astra: { store: 'astra', auth: 'astra', astra: { create: 'aws:us-east-2' } },
  everything: {
    ...CLUSTER,
    cassandra: {
      contactPoints: ['a.data', 'b.data:9142'],
      localDatacenter: 'dc1',
      username: 'understudy',
      tlsSecret: 'cassandra-tls',
      clientCertificate: true,
    },
    workers: 4,
    drainSeconds: 60,
    preStopSeconds: 8,
    secrets: { values: SECRETS },
    config: { 'log-level': 'debug', providers: { house: { 'base-url': 'http://vllm.models:8000/v1' } } },
    tls: { secret: 'understudy-tls' },
    ingress: {
      enabled: true,
      className: 'nginx',
      hosts: ['understudy.example'],
      tls: [{ secretName: 'x', hosts: ['understudy.example'] }],
      annotations: { 'nginx.ingress.kubernetes.io/proxy-buffering': 'off' },
    },
    autoscaling: { enabled: true, activeRuns: 50, maxReplicas: 20 },
    networkPolicy: {
      enabled: true,
      from: [{ namespaceSelector: { matchLabels: { name: 'apps' } } }],
      egress: [{ ports: [{ port: 9042, protocol: 'TCP' }] }],
    },
    serviceMonitor: {
      enabled: true,
      labels: { release: 'prometheus' },
      authorization: { secret: 'm', key: 'token' },
    },
    prometheusRule: { enabled: true },
    metricsAllow: ['10.0.0.0/8'],
    allowHosts: ['models.example'],
    imagePullSecrets: [{ name: 'registry' }],
    nodeSelector: { 'kubernetes.io/arch': 'arm64' },
    tolerations: [{ key: 'models', operator: 'Exists' }],
    affinity: { podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [] } },
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: 'zone',
        whenUnsatisfiable: 'DoNotSchedule',
        labelSelector: { matchLabels: { a: 'b' } },
      },
    ],
    priorityClassName: 'high',
    podAnnotations: { a: 'b' },
    podLabels: { team: 'models' },
    extraEnv: [{ name: 'HTTPS_PROXY', value: 'http://proxy:3128' }],
    extraVolumes: [{ name: 'more', emptyDir: {} }],
    extraVolumeMounts: [{ name: 'more', mountPath: '/more' }],
    serviceAccount: { name: 'own', annotations: { a: 'b' } },
  },
  'sqlite with everything that goes with it': {
    secrets: { existing: 'keys' },
    persistence: { size: '1Ti', storageClass: 'fast', annotations: { backup: 'daily' } },
    tls: { secret: 'understudy-tls' },
    ingress: { enabled: true, hosts: ['a.example', 'b.example'] },
    networkPolicy: { enabled: true },
    serviceMonitor: { enabled: true },
    prometheusRule: { enabled: true },
    podDisruptionBudget: { enabled: false },
    serviceAccount: { create: false },
    fullnameOverride: 'assistants',
  },
  'open to everybody': { auth: 'none' },
};

/** What must be refused before anything is installed, and by what words. */
const REFUSED: Readonly<Record<string, readonly [object, RegExp]>> = {
  'pods beyond one on a file': [{ autoscaling: { enabled: true } }, /autoscaling needs store/],
  'a cluster that is nowhere': [{ store: 'cassandra' }, /contactPoints/],
  'tokens of Astra elsewhere': [{ auth: 'astra' }, /auth: astra goes with store: astra/],
  'two sources of secrets': [{ secrets: { existing: 'a', values: { A: 'b' } } }, /exclude each other/],
  'a value that there is not': [{ replica: 3 }, /replica/],
  'a store that there is not': [{ store: 'postgres' }, /store/],
  'an ingress without a host': [{ ingress: { enabled: true } }, /hosts/],
  'scaling by nothing': [{ ...CLUSTER, autoscaling: { enabled: true, cpu: 0 } }, /cpu or activeRuns/],
};

/** What the page about Kubernetes shows to be copied. */
const PAGE_VALUES = readPageValues();

/** What the chart cannot know better, and Kubernetes would not take. */
const FAULTY = { affinity: { podAffinty: {} } };

const hindrance = findHindrance();
if (hindrance !== null) console.error(`SKIPPED: the chart cannot be rendered: ${hindrance}.`);

describe.skipIf(hindrance !== null)('the chart', () => {
  let rendered: Readonly<Record<string, Rendered>> = {};

  beforeAll(() => {
    rendered = renderChart({
      ...CASES,
      faulty: FAULTY,
      ...PAGE_VALUES,
      ...Object.fromEntries(Object.entries(REFUSED).map(([k, [v]]) => [k, v])),
    });
  }, RENDER_MS);

  const findAll = (name: keyof typeof CASES, kind: string): Manifest[] =>
    (rendered[name]?.manifests ?? []).filter((manifest) => manifest.kind === kind);
  const findOne = (name: keyof typeof CASES, kind: string): Manifest => {
    const found = findAll(name, kind);
    expect(found).toHaveLength(1);
    return found[0];
  };
  const toPod = (name: keyof typeof CASES): Manifest => {
    const [workload] = [...findAll(name, 'Deployment'), ...findAll(name, 'StatefulSet')];
    return workload.spec.template;
  };

  for (const name of Object.keys(CASES)) {
    test(`'${name}' is what Kubernetes understands, to the last field`, () => {
      const { refusal, faults, manifests } = rendered[name] ?? {};
      expect(refusal).toBe('');
      expect(faults).toEqual([]);
      expect(manifests?.length).toBeGreaterThan(3);
    });
  }

  test('every block of values on the page about Kubernetes is one that the chart and Kubernetes take', () => {
    expect(Object.keys(PAGE_VALUES).length).toBeGreaterThan(5);
    for (const name of Object.keys(PAGE_VALUES)) {
      const { refusal, faults, manifests } = rendered[name] ?? {};
      expect({ name, refusal, faults }).toEqual({ name, refusal: '', faults: [] });
      const [map] = (manifests ?? []).filter(({ kind }) => kind === 'ConfigMap');
      const readText = (path: string) => (path === 'understudy.yaml' ? map.data[path] : toPem(path));
      const isNamed = map.data['understudy.yaml'].includes('cassandra-username');
      const env = isNamed ? SECRETS : { ASTRA_DB_APPLICATION_TOKEN: 'AstraCS:x:y' };
      expect(() => parseConfig(['--config', 'understudy.yaml'], env, readText), name).not.toThrow();
    }
  });

  test('the commands on that page name what the chart makes, and what the program takes', async () => {
    const { calls, kinds, set } = readPageCommands();
    expect(calls.length).toBeGreaterThan(2);
    for (const words of calls) expect(parseCommandLine(words).problems).toEqual([]);
    const made = [
      ...findAll('plain', 'StatefulSet'),
      ...findAll('cluster', 'Deployment'),
      findOne('plain', 'Service'),
    ];
    expect(kinds.length).toBeGreaterThan(1);
    for (const kind of kinds) {
      expect(made.map((manifest) => manifest.kind.toLowerCase())).toContain(kind);
    }
    const values: Manifest = Bun.YAML.parse(
      await Bun.file(join(import.meta.dir, '../../deploy/helm/understudy/values.yaml')).text(),
    );
    expect(set.length).toBeGreaterThan(1);
    for (const name of set) {
      const [last = '', ...above] = name.split('.').reverse();
      const holder = above.reverse().reduce((at: Manifest, key) => at[key], values);
      expect(Object.keys(holder), name).toContain(last);
    }
  });

  test('is read so strictly that a slip in a field is seen', () => {
    expect(rendered.faulty?.faults).toEqual([expect.stringMatching(/unknown field ".*podAffinty"/)]);
  });

  for (const [name, [, says]] of Object.entries(REFUSED)) {
    test(`${name} is refused`, () => {
      expect(rendered[name]?.refusal).toMatch(says);
    });
  }

  test('keeps a file in one pod with a volume, and runs many where the store is a cluster', () => {
    const { spec } = findOne('plain', 'StatefulSet');
    expect(spec.replicas).toBe(1);
    expect(spec.volumeClaimTemplates[0].spec.resources.requests.storage).toBe('20Gi');
    expect(findAll('plain', 'Deployment')).toEqual([]);
    const deployment = findOne('cluster', 'Deployment');
    expect(deployment.spec.replicas).toBe(2);
    expect(deployment.spec.strategy.rollingUpdate.maxUnavailable).toBe(0);
    expect(findAll('cluster', 'StatefulSet')).toEqual([]);
    expect(findOne('everything', 'Deployment').spec.replicas).toBeUndefined();
  });

  test('gives a pod that ends the time to pause, to drain and to close', () => {
    for (const name of Object.keys(CASES) as (keyof typeof CASES)[]) {
      const { spec } = toPod(name);
      const pauseSeconds = spec.containers[0].lifecycle.preStop.sleep.seconds;
      const drainSeconds = readFile(name)['drain-seconds'];
      expect(pauseSeconds).toBeGreaterThan(0);
      // The primary kills workers seven seconds after the drain.
      expect(spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(pauseSeconds + drainSeconds + 10);
    }
  });

  test('runs as a stranger who can do and write nothing but in its volumes', () => {
    for (const name of Object.keys(CASES) as (keyof typeof CASES)[]) {
      const { spec } = toPod(name);
      expect(spec.securityContext).toMatchObject({
        runAsNonRoot: true,
        runAsUser: 65532,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      expect(spec.containers[0].securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      expect(spec.automountServiceAccountToken).toBe(false);
      // Kubernetes would describe the service in UNDERSTUDY_PORT.
      expect(spec.enableServiceLinks).toBe(false);
    }
  });

  test('asks for life and for readiness where each is told, by the scheme that is spoken', () => {
    const [plain] = toPod('plain').spec.containers;
    expect(plain.startupProbe.httpGet).toEqual({ path: '/health', port: 'http', scheme: 'HTTP' });
    expect(plain.livenessProbe.httpGet.path).toBe('/health');
    expect(plain.readinessProbe.httpGet.path).toBe('/ready');
    const [encrypted] = toPod('everything').spec.containers;
    for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
      expect(encrypted[probe].httpGet.scheme).toBe('HTTPS');
    }
  });

  test('mounts every file that the configuration names', () => {
    for (const name of Object.keys(CASES) as (keyof typeof CASES)[]) {
      const { spec } = toPod(name);
      const mounts: { name: string; mountPath: string }[] = spec.containers[0].volumeMounts;
      const volumes = [
        ...spec.volumes,
        ...(findAll(name, 'StatefulSet')[0]?.spec.volumeClaimTemplates ?? []),
      ];
      const names = volumes.map((volume: Manifest) => volume.name ?? volume.metadata.name);
      for (const mount of mounts) expect(names).toContain(mount.name);
      const paths = Object.entries(readFile(name)).filter(([key]) => /-file$|^tls-|^data$/.test(key));
      for (const [, path] of paths) {
        expect(mounts.some(({ mountPath }) => String(path).startsWith(mountPath))).toBe(true);
      }
    }
  });

  test('writes a file that the server takes, with the names by which it is called', () => {
    for (const name of Object.keys(CASES) as (keyof typeof CASES)[]) {
      const text = findOne(name, 'ConfigMap').data['understudy.yaml'];
      const readText = (path: string) => (path === 'understudy.yaml' ? text : toPem(path));
      const env = name === 'everything' ? SECRETS : { ASTRA_DB_APPLICATION_TOKEN: 'AstraCS:x:y' };
      const config = parseConfig(['--config', 'understudy.yaml'], env, readText);
      expect(config.settings.host).toBe('0.0.0.0');
      expect(config.settings.allowHosts.some((host) => host.endsWith('.models.svc.cluster.local'))).toBe(
        true,
      );
    }
    expect(readFile('everything')['allow-host']).toContain('understudy.example');
    expect(readFile('everything')['allow-host']).toContain('models.example');
    expect(readFile('everything')['log-level']).toBe('debug');
    expect(readFile('plain').auth).toBe('keys');
  });

  test('keeps secrets in Secrets, which the pod reads', () => {
    const made = findOne('everything', 'Secret');
    expect(made.stringData).toEqual(SECRETS);
    expect(toPod('everything').spec.containers[0].envFrom).toEqual([
      { secretRef: { name: made.metadata.name } },
    ]);
    expect(JSON.stringify(findOne('everything', 'ConfigMap'))).not.toContain('sk-1');
    expect(findAll('sqlite with everything that goes with it', 'Secret')).toEqual([]);
    const [container] = toPod('sqlite with everything that goes with it').spec.containers;
    expect(container.envFrom).toEqual([{ secretRef: { name: 'keys' } }]);
  });

  test('has services, budgets and policies that meet the pods', () => {
    for (const name of Object.keys(CASES) as (keyof typeof CASES)[]) {
      const labels = toPod(name).metadata.labels;
      const selectors = [
        findOne(name, 'Service').spec.selector,
        ...findAll(name, 'PodDisruptionBudget').map(({ spec }) => spec.selector.matchLabels),
        ...findAll(name, 'NetworkPolicy').map(({ spec }) => spec.podSelector.matchLabels),
        ...findAll(name, 'Deployment').map(({ spec }) => spec.selector.matchLabels),
        ...findAll(name, 'StatefulSet').map(({ spec }) => spec.selector.matchLabels),
      ];
      for (const selector of selectors) expect(labels).toMatchObject(selector);
      // The monitor meets the service, by the service's labels.
      for (const { spec } of findAll(name, 'ServiceMonitor')) {
        expect(findOne(name, 'Service').metadata.labels).toMatchObject(spec.selector.matchLabels);
      }
    }
  });

  test('scales by the CPU and by runs under way, the metric that the server has', async () => {
    const { spec } = findOne('everything', 'HorizontalPodAutoscaler');
    expect(spec.scaleTargetRef).toMatchObject({
      kind: 'Deployment',
      name: findOne('everything', 'Deployment').metadata.name,
    });
    const [cpu, runs] = spec.metrics;
    expect(cpu.resource.target.averageUtilization).toBe(70);
    expect(runs.pods.target).toEqual({ type: 'AverageValue', averageValue: '50' });
    const series = await Bun.file(join(import.meta.dir, '../../src/metrics/series.ts')).text();
    expect(series).toContain(`${runs.pods.metric.name}:`);
  });

  test('brings the alert rules as they stand', async () => {
    const rules = Bun.YAML.parse(
      await Bun.file(join(import.meta.dir, '../../deploy/prometheus/alerts.yaml')).text(),
    );
    const { spec } = findOne('everything', 'PrometheusRule');
    const toNames = (groups: Manifest[]) =>
      groups.flatMap(({ rules }) => rules.map((rule: Manifest) => rule.alert));
    expect(toNames(spec.groups)).toEqual(toNames((rules as Manifest).groups));
    expect(toNames(spec.groups).length).toBeGreaterThan(0);
  });

  test('says how to make the first key, where one is needed', () => {
    expect(rendered.plain?.notes).toContain('statefulset/try-understudy');
    expect(rendered.cluster?.notes).toContain('deployment/try-understudy');
    expect(rendered.plain?.notes).toContain('keys create --project');
    expect(rendered['open to everybody']?.notes).not.toContain('keys create');
  });

  function readFile(name: keyof typeof CASES): Manifest {
    return Bun.YAML.parse(findOne(name, 'ConfigMap').data['understudy.yaml']);
  }
});

function toPem(path: string): string {
  return path.endsWith('.key') ? CERTIFICATE_KEY : CERTIFICATE;
}
