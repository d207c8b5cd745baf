package check

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// manifests are the two ways to run on Kubernetes.
var manifests = []string{"daemonset", "sidecar"}

// built are the objects that kustomize makes of a directory, each decoded
// strictly: a field that its type does not have, or that is there twice, fails.
func built(t *testing.T, name string) []runtime.Object {
	t.Helper()
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join("..", "kubernetes", name))
	require.NoError(t, err)
	require.NotEmpty(t, made.Resources())
	var objects []runtime.Object
	for _, r := range made.Resources() {
		text, err := r.AsYAML()
		require.NoError(t, err)
		objects = append(objects, decode(t, text))
	}
	return objects
}

// known are the kinds that the manifests may have.
func known(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, appsv1.AddToScheme, policyv1.AddToScheme, networkingv1.AddToScheme} {
		require.NoError(t, add(s))
	}
	return s
}

func decode(t *testing.T, text []byte) runtime.Object {
	t.Helper()
	object, err := strictly(t, text)
	require.NoError(t, err, "%s", text)
	return object
}

func strictly(t *testing.T, text []byte) (runtime.Object, error) {
	t.Helper()
	s := known(t)
	object, _, err := json.NewSerializerWithOptions(json.DefaultMetaFactory, s, s, json.SerializerOptions{Yaml: true, Strict: true}).Decode(text, nil, nil)
	return object, err
}

// kinds are the objects of a directory by their kind, of which there is one
// each.
func kinds(t *testing.T, name string) map[string]runtime.Object {
	t.Helper()
	found := map[string]runtime.Object{}
	for _, o := range built(t, name) {
		kind := o.GetObjectKind().GroupVersionKind().Kind
		require.NotContains(t, found, kind)
		found[kind] = o
	}
	return found
}

// pod is the template that a directory's workload makes its Pods of.
func pod(t *testing.T, name string) *corev1.PodTemplateSpec {
	t.Helper()
	all := kinds(t, name)
	if o, ok := all["StatefulSet"].(*appsv1.StatefulSet); ok {
		return &o.Spec.Template
	}
	o, ok := all["DaemonSet"].(*appsv1.DaemonSet)
	require.True(t, ok, "%s has no workload", name)
	return &o.Spec.Template
}

// container is the worker's.
func container(t *testing.T, name string) *corev1.Container {
	t.Helper()
	p := pod(t, name)
	for i := range p.Spec.Containers {
		if p.Spec.Containers[i].Name == "canvasback" {
			return &p.Spec.Containers[i]
		}
	}
	require.Fail(t, "there is no worker in "+name)
	return nil
}

// TestFilesAreManifests decodes each file as it is, too: kustomize itself would
// forgive what it does not read.
func TestFilesAreManifests(t *testing.T) {
	files, err := filepath.Glob("../kubernetes/*/*.yaml")
	require.NoError(t, err)
	decoded := 0
	for _, file := range files {
		if base := filepath.Base(file); base == "kustomization.yaml" || base == "canvasback.yaml" {
			continue
		}
		decode(t, read(t, file))
		decoded++
	}
	require.GreaterOrEqual(t, decoded, 7)
}

func TestStrictDecodingRefuses(t *testing.T) {
	const service = "apiVersion: v1\nkind: Service\nmetadata: {name: shop}\nspec: {clusterIP: None}\n"
	decode(t, []byte(service))
	for _, bad := range []string{
		strings.Replace(service, "clusterIP", "clusterIp", 1),
		service + "spec: {}\n",
		strings.Replace(service, "kind: Service", "kind: Servise", 1),
		strings.Replace(service, "None", "[None]", 1),
	} {
		_, err := strictly(t, []byte(bad))
		require.Error(t, err, bad)
	}
}
