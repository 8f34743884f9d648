// Renders the Helm chart as `helm template` does, with many values, and reads each manifest strictly as Kubernetes' own types: an unknown
// field, a wrong type or an unknown kind is an error. Reads a request as JSON on stdin, writes an answer as JSON on stdout.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

const kubeVersion = "v1.33.0"

type request struct {
	// The chart's folder.
	Chart string `json:"chart"`
	// Values by the name of the case.
	Cases map[string]map[string]any `json:"cases"`
}

type rendered struct {
	// Why the chart refuses the values; empty where it does not.
	Refusal string `json:"refusal"`
	// What is wrong with manifests.
	Faults    []string         `json:"faults"`
	Manifests []runtime.Object `json:"manifests"`
	Notes     string           `json:"notes"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var asked request
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		return err
	}
	loaded, err := loader.Load(asked.Chart)
	if err != nil {
		return err
	}
	decoder, err := newDecoder()
	if err != nil {
		return err
	}
	answer := map[string]rendered{}
	for name, values := range asked.Cases {
		answer[name] = render(loaded, values, decoder)
	}
	return json.NewEncoder(os.Stdout).Encode(answer)
}

func newDecoder() (runtime.Decoder, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		core.AddToScheme, apps.AddToScheme, autoscaling.AddToScheme, networking.AddToScheme, policy.AddToScheme,
		monitoring.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer(), nil
}

func render(loaded *chart.Chart, values map[string]any, decoder runtime.Decoder) rendered {
	capabilities := chartutil.DefaultCapabilities.Copy()
	version, err := chartutil.ParseKubeVersion(kubeVersion)
	if err != nil {
		return rendered{Refusal: err.Error()}
	}
	capabilities.KubeVersion = *version
	options := chartutil.ReleaseOptions{Name: "try", Namespace: "models", IsInstall: true}
	// Checks the values against the chart's schema.
	merged, err := chartutil.ToRenderValues(loaded, values, options, capabilities)
	if err != nil {
		return rendered{Refusal: err.Error()}
	}
	files, err := engine.Render(loaded, merged)
	if err != nil {
		return rendered{Refusal: err.Error()}
	}
	result := rendered{Faults: []string{}, Manifests: []runtime.Object{}}
	paths := make([]string, 0, len(files))
	for path := range files {
		paths = append(paths, path)
	}
	sort.Strings(paths)
	for _, path := range paths {
		if strings.HasSuffix(path, "NOTES.txt") {
			result.Notes = files[path]
			continue
		}
		for _, manifest := range releaseutil.SplitManifests(files[path]) {
			object, _, err := decoder.Decode([]byte(manifest), nil, nil)
			if err != nil {
				result.Faults = append(result.Faults, fmt.Sprintf("%s: %v", path, err))
				continue
			}
			result.Manifests = append(result.Manifests, object)
		}
	}
	return result
}
