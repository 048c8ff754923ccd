package main

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// cluster is what a kustomization makes.
type cluster struct {
	*problems
	dir     string
	pods    map[string]corev1.PodTemplateSpec // of workloads, by name
	claims  map[string][]corev1.PersistentVolumeClaim
	objects []runtime.Object
}

func (p *problems) kubernetes(dir string) {
	made, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		p.must(false, "%s: %v", dir, err)
		return
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, autoscalingv2.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme, policyv1.AddToScheme} {
		if err := add(scheme); err != nil {
			p.must(false, "%v", err)
			return
		}
	}
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
	c := &cluster{p, dir, make(map[string]corev1.PodTemplateSpec), make(map[string][]corev1.PersistentVolumeClaim), nil}
	for _, r := range made.Resources() {
		text, err := r.AsYAML()
		if err != nil {
			p.must(false, "%s: %s: %v", dir, r.CurId(), err)
			continue
		}
		o, _, err := strict.Decode(text, nil, nil)
		if err != nil {
			p.must(false, "%s: %s: %v", dir, r.CurId(), err)
			continue
		}
		c.objects = append(c.objects, o)
		switch o := o.(type) {
		case *appsv1.StatefulSet:
			c.pods[o.Name], c.claims[o.Name] = o.Spec.Template, o.Spec.VolumeClaimTemplates
			c.selects(o.Name, o.Spec.Selector, o.Name)
		case *appsv1.Deployment:
			c.pods[o.Name] = o.Spec.Template
			c.selects(o.Name, o.Spec.Selector, o.Name)
		}
	}
	c.must(len(c.pods) == 3, "%s: %d workloads", dir, len(c.pods))
	for name, pod := range c.pods {
		c.pod(name, pod)
	}
	for _, o := range c.objects {
		c.object(o)
	}
	fmt.Printf("%s: %d objects\n", dir, len(c.objects))
}

func (c *cluster) says(name string) func(bool, string, ...any) {
	return func(ok bool, format string, args ...any) {
		c.must(ok, "%s: %s: %s", c.dir, name, fmt.Sprintf(format, args...))
	}
}

// selects: a selector finds pods, and only those of a workload where one is named.
func (c *cluster) selects(what string, selector *metav1.LabelSelector, workload string) {
	s, err := metav1.LabelSelectorAsSelector(selector)
	found := 0
	for name, pod := range c.pods {
		if err == nil && s.Matches(labels.Set(pod.Labels)) && (workload == "" || name == workload) {
			found++
		}
	}
	c.says(what)(found > 0, "its selector %v finds no pod: %v", selector, err)
}

// pod is one that the restricted standard admits, with probes and room.
func (c *cluster) pod(name string, pod corev1.PodTemplateSpec) {
	must := c.says(name)
	yes := func(b *bool) bool { return b != nil && *b }
	no := func(b *bool) bool { return b != nil && !*b }
	s := pod.Spec.SecurityContext
	must(s != nil && yes(s.RunAsNonRoot) && s.SeccompProfile != nil && s.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault, "is not restricted")
	must(no(pod.Spec.AutomountServiceAccountToken), "is given a token of the cluster's")
	volumes := make(map[string]bool)
	for _, v := range pod.Spec.Volumes {
		volumes[v.Name] = true
		if v.Secret != nil {
			must(v.Secret.DefaultMode != nil && *v.Secret.DefaultMode == 0o440, "secret %s has another mode than 0440", v.Name)
		}
	}
	for _, claim := range c.claims[name] {
		volumes[claim.Name] = true
	}
	for _, k := range pod.Spec.Containers {
		s := k.SecurityContext
		must(s != nil && no(s.AllowPrivilegeEscalation) && yes(s.ReadOnlyRootFilesystem) && s.Capabilities != nil &&
			len(s.Capabilities.Drop) == 1 && s.Capabilities.Drop[0] == "ALL" && len(s.Capabilities.Add) == 0, "container %s is not restricted", k.Name)
		must(k.Image == "canyu" || pinned.MatchString(k.Image), "image %q is not pinned", k.Image)
		must(!k.Resources.Requests.Cpu().IsZero() && !k.Resources.Requests.Memory().IsZero() && !k.Resources.Limits.Memory().IsZero(), "container %s has no resources", k.Name)
		ports := make(map[string]bool)
		for _, port := range k.Ports {
			ports[port.Name] = true
		}
		for path, probe := range map[string]*corev1.Probe{"/healthz": k.LivenessProbe, "/readyz": k.ReadinessProbe} {
			must(probe != nil && probe.HTTPGet != nil && probe.HTTPGet.Path == path && ports[probe.HTTPGet.Port.String()], "container %s has no probe of %s", k.Name, path)
		}
		for _, m := range k.VolumeMounts {
			must(volumes[m.Name], "no volume %q", m.Name)
			delete(volumes, m.Name)
		}
	}
	must(len(volumes) == 0, "volumes that nobody mounts: %v", volumes)
}

func (c *cluster) object(o runtime.Object) {
	switch o := o.(type) {
	case *corev1.Service:
		c.selects("service "+o.Name, metav1.SetAsLabelSelector(o.Spec.Selector), "")
		for _, port := range o.Spec.Ports {
			c.says("service "+o.Name)(c.hasPort(metav1.SetAsLabelSelector(o.Spec.Selector), port.TargetPort.String()), "no pod has the port %s", port.TargetPort.String())
		}
	case *policyv1.PodDisruptionBudget:
		c.selects("disruption budget "+o.Name, o.Spec.Selector, o.Name)
	case *autoscalingv2.HorizontalPodAutoscaler:
		_, ok := c.pods[o.Spec.ScaleTargetRef.Name]
		c.says("autoscaler "+o.Name)(ok && o.Spec.MinReplicas != nil && *o.Spec.MinReplicas >= 2, "scales nothing, or down to one")
	case *networkingv1.NetworkPolicy:
		c.selects("network policy "+o.Name, &o.Spec.PodSelector, "")
		for _, in := range o.Spec.Ingress {
			for _, port := range in.Ports {
				c.says("network policy "+o.Name)(c.hasPort(&o.Spec.PodSelector, port.Port.String()), "no pod has the port %s", port.Port.String())
			}
		}
	}
}

func (c *cluster) hasPort(selector *metav1.LabelSelector, name string) bool {
	s, err := metav1.LabelSelectorAsSelector(selector)
	for _, pod := range c.pods {
		for _, k := range pod.Spec.Containers {
			for _, port := range k.Ports {
				if err == nil && port.Name == name && s.Matches(labels.Set(pod.Labels)) {
					return true
				}
			}
		}
	}
	return false
}
