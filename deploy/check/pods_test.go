package check

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// faults are what Kubernetes' own Pod Security admission says against a Pod in a
// namespace of the level "restricted".
func faults(t *testing.T, p *corev1.PodTemplateSpec) []string {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	require.NoError(t, err)
	var found []string
	for _, r := range evaluator.EvaluatePod(podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: podsecurity.LatestVersion()}, &p.ObjectMeta, &p.Spec) {
		if !r.Allowed {
			found = append(found, r.ForbiddenReason)
		}
	}
	slices.Sort(found)
	return found
}

// TestPodSecurity: a sidecar asks for nothing that "restricted" refuses; the
// worker of a node has the node's processes and directories, and nothing else.
func TestPodSecurity(t *testing.T) {
	assert.Empty(t, faults(t, pod(t, "sidecar")))
	assert.Equal(t, []string{"host namespaces", "restricted volume types"}, faults(t, pod(t, "daemonset")))
	loose := pod(t, "sidecar").DeepCopy()
	loose.Spec.Containers[1].SecurityContext.AllowPrivilegeEscalation = nil
	assert.Equal(t, []string{"allowPrivilegeEscalation != false"}, faults(t, loose))
}

func TestEveryContainerIsLocked(t *testing.T) {
	for _, name := range manifests {
		p := pod(t, name).Spec
		assert.Equal(t, new(false), p.AutomountServiceAccountToken, name)
		assert.EqualValues(t, 60, *p.TerminationGracePeriodSeconds, "%s: a copy notes how far it is within 45 seconds", name)
		for _, c := range p.Containers {
			assert.Equal(t, new(true), c.SecurityContext.ReadOnlyRootFilesystem, c.Name)
			assert.False(t, c.Resources.Requests.Cpu().IsZero(), c.Name)
			assert.False(t, c.Resources.Requests.Memory().IsZero(), c.Name)
			assert.False(t, c.Resources.Limits.Memory().IsZero(), c.Name)
			assert.Regexp(t, `:[0-9]+\.[0-9]+\.[0-9]+$`, c.Image, c.Name)
		}
	}
}

// mount is what a container has at a path.
func mount(c *corev1.Container, at string) *corev1.VolumeMount {
	for i := range c.VolumeMounts {
		if m := &c.VolumeMounts[i]; at == m.MountPath || strings.HasPrefix(at, m.MountPath+"/") {
			return m
		}
	}
	return nil
}

// TestWorkerSeesItsFiles holds the mounts to the configuration that comes with
// them.
func TestWorkerSeesItsFiles(t *testing.T) {
	for _, name := range manifests {
		c := container(t, name)
		var cfg struct {
			Repository string
			Metrics    struct{ Address string }
			Databases  []struct{ Path string }
		}
		require.NoError(t, yaml.Unmarshal(read(t, path.Join("../kubernetes", name, "canvasback.yaml")), &cfg))
		require.NotEmpty(t, cfg.Databases)
		for _, d := range cfg.Databases {
			m := mount(c, d.Path)
			require.NotNil(t, m, "%s does not mount %s", name, d.Path)
			assert.True(t, m.ReadOnly, "%s can write %s", name, d.Path)
			assert.NotEqual(t, d.Path, m.MountPath, "the directory is mounted: the .wal comes and goes")
		}
		repository := mount(c, cfg.Repository)
		require.NotNil(t, repository, "%s does not mount %s", name, cfg.Repository)
		assert.False(t, repository.ReadOnly)
		assert.Equal(t, "0.0.0.0:9464", cfg.Metrics.Address, "the probes come from outside the Pod")
		assert.EqualValues(t, 9464, c.Ports[0].ContainerPort)
		require.NotNil(t, mount(c, c.Args[slices.Index(c.Args, "--config")+1]))
		for _, e := range c.Env {
			if e.Name == "TEMPORAL_CONFIG_FILE" {
				assert.True(t, mount(c, e.Value).ReadOnly)
			}
			assert.NotContains(t, e.Name, "KEY", "secrets are files")
		}
		for _, m := range c.VolumeMounts {
			volumes := slices.IndexFunc(pod(t, name).Spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name })
			assert.True(t, volumes >= 0 || slices.Contains(claims(t, name), m.Name), "%s: there is no volume %s", name, m.Name)
		}
	}
}

func claims(t *testing.T, name string) (names []string) {
	if s, ok := kinds(t, name)["StatefulSet"].(*appsv1.StatefulSet); ok {
		for _, c := range s.Spec.VolumeClaimTemplates {
			names = append(names, c.Name)
		}
	}
	return names
}

// TestGeneratedNames: a changed configuration has another name, so that the
// workers are started anew.
func TestGeneratedNames(t *testing.T) {
	for _, name := range manifests {
		all := kinds(t, name)
		config, secret := all["ConfigMap"].(*corev1.ConfigMap).Name, all["Secret"].(*corev1.Secret).Name
		assert.Regexp(t, `^canvasback-[a-z0-9]{10}$`, config)
		assert.Regexp(t, `^canvasback-temporal-[a-z0-9]{10}$`, secret)
		seen := 0
		for _, v := range pod(t, name).Spec.Volumes {
			if v.ConfigMap != nil {
				assert.Equal(t, config, v.ConfigMap.Name)
				seen++
			}
			if v.Secret != nil {
				assert.Equal(t, secret, v.Secret.SecretName)
				assert.EqualValues(t, 0o440, *v.Secret.DefaultMode)
				seen++
			}
		}
		assert.Equal(t, 2, seen)
	}
}

// TestProbes: both are alive by /healthz. A sidecar's /readyz would take requests
// from the service while Temporal is away.
func TestProbes(t *testing.T) {
	for _, name := range manifests {
		c := container(t, name)
		require.NotNil(t, c.LivenessProbe)
		assert.Equal(t, "/healthz", c.LivenessProbe.HTTPGet.Path)
		assert.Equal(t, "metrics", c.LivenessProbe.HTTPGet.Port.StrVal)
		assert.Equal(t, "metrics", c.Ports[0].Name)
	}
	assert.Nil(t, container(t, "sidecar").ReadinessProbe)
	assert.Equal(t, "/readyz", container(t, "daemonset").ReadinessProbe.HTTPGet.Path)
	assert.Greater(t, container(t, "daemonset").ReadinessProbe.TimeoutSeconds, int32(3), "a repository that does not answer takes 3 s to be found out")
}

// TestSelectors: what selects Pods selects these.
func TestSelectors(t *testing.T) {
	selects := func(s *metav1.LabelSelector, name string) {
		selector, err := metav1.LabelSelectorAsSelector(s)
		require.NoError(t, err)
		assert.False(t, selector.Empty())
		assert.True(t, selector.Matches(labels.Set(pod(t, name).Labels)))
	}
	sidecar, daemonset := kinds(t, "sidecar"), kinds(t, "daemonset")
	selects(sidecar["StatefulSet"].(*appsv1.StatefulSet).Spec.Selector, "sidecar")
	selects(sidecar["PodDisruptionBudget"].(*policyv1.PodDisruptionBudget).Spec.Selector, "sidecar")
	selects(&metav1.LabelSelector{MatchLabels: sidecar["Service"].(*corev1.Service).Spec.Selector}, "sidecar")
	assert.Equal(t, sidecar["Service"].(*corev1.Service).Name, sidecar["StatefulSet"].(*appsv1.StatefulSet).Spec.ServiceName)
	selects(daemonset["DaemonSet"].(*appsv1.DaemonSet).Spec.Selector, "daemonset")
	selects(&daemonset["NetworkPolicy"].(*networkingv1.NetworkPolicy).Spec.PodSelector, "daemonset")
	for _, name := range manifests {
		account := kinds(t, name)["ServiceAccount"].(*corev1.ServiceAccount)
		assert.Equal(t, account.Name, pod(t, name).Spec.ServiceAccountName)
		assert.Equal(t, new(false), account.AutomountServiceAccountToken)
	}
	assert.True(t, *pod(t, "sidecar").Spec.ShareProcessNamespace)
	assert.True(t, pod(t, "daemonset").Spec.HostPID)
}
