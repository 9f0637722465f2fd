//! What Kubernetes is given: one writer an organization, in a pod that may do nothing else.
//!
//! In: the files of `deploy/kubernetes`. What they are rendered to is judged by `.ci/kubernetes`.

use std::collections::BTreeSet;
use std::fs;

use serde_yaml::Value;

use super::{folder, text, yaml};

fn list(value: &Value) -> Vec<Value> {
    value.as_sequence().cloned().unwrap_or_default()
}

fn strings(value: &Value) -> Vec<String> {
    list(value).iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

/// The StatefulSet, and what is added to its pod.
const PODS: [&str; 3] =
    ["base/statefulset.yaml", "components/git-sync/sidecar.yaml", "components/configmap/volume.yaml"];

fn pod(path: &str) -> Value {
    yaml(&format!("kubernetes/{path}"))["spec"]["template"]["spec"].clone()
}

/// The rules of the Pod Security Standards, level restricted, which the namespace demands.
#[test]
fn the_namespace_lets_no_pod_in_that_is_not_restricted_and_ours_are() {
    let namespace = yaml("kubernetes/base/namespace.yaml");
    assert_eq!(namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted");
    let whole = &pod(PODS[0])["securityContext"];
    assert_eq!(whole["runAsNonRoot"], true);
    assert_ne!(whole["runAsUser"], 0);
    assert_eq!(whole["seccompProfile"]["type"], "RuntimeDefault");
    let mut containers = 0;
    for path in PODS {
        let pod = pod(path);
        for shared in ["hostNetwork", "hostPID", "hostIPC", "initContainers", "ephemeralContainers"] {
            assert!(pod[shared].is_null(), "{path}: {shared}");
        }
        for volume in list(&pod["volumes"]) {
            let allowed = ["configMap", "emptyDir", "projected", "secret", "persistentVolumeClaim", "downwardAPI"];
            assert!(allowed.iter().any(|kind| !volume[*kind].is_null()), "{path}: {volume:?}");
        }
        for container in list(&pod["containers"]).iter().filter(|container| !container["image"].is_null()) {
            let context = &container["securityContext"];
            assert_eq!(context["allowPrivilegeEscalation"], false, "{path}");
            assert_eq!(strings(&context["capabilities"]["drop"]), ["ALL"], "{path}");
            assert!(context["capabilities"]["add"].is_null() && context["privileged"].is_null(), "{path}");
            // Not asked for by the standard.
            assert_eq!(context["readOnlyRootFilesystem"], true, "{path}");
            assert!(!container["resources"]["limits"]["memory"].is_null(), "{path}");
            assert!(list(&container["ports"]).iter().all(|port| port["hostPort"].is_null()), "{path}");
            containers += 1;
        }
    }
    assert_eq!(containers, 2, "the daemon and its sidecar");
    assert_eq!(pod(PODS[0])["automountServiceAccountToken"], false);
}

#[test]
fn an_organization_has_one_writer_whose_memory_outlives_it_and_no_drain_waits_for_it() {
    let set = yaml("kubernetes/base/statefulset.yaml");
    assert_eq!((&set["kind"], &set["spec"]["replicas"]), (&"StatefulSet".into(), &1.into()));
    let claim = &set["spec"]["volumeClaimTemplates"][0];
    assert_eq!(strings(&claim["spec"]["accessModes"]), ["ReadWriteOncePod"]);
    let retention = &set["spec"]["persistentVolumeClaimRetentionPolicy"];
    assert_eq!((&retention["whenDeleted"], &retention["whenScaled"]), (&"Retain".into(), &"Retain".into()));
    // What the page for operators calls it.
    let names =
        format!("{}-{}-0", claim["metadata"]["name"].as_str().unwrap(), set["metadata"]["name"].as_str().unwrap());
    assert!(text("README.md").contains(&format!("`{names}`")), "{names}");
    let budget = yaml("kubernetes/base/disruption-budget.yaml");
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    assert!(budget["spec"]["minAvailable"].is_null());
}

#[test]
fn the_secrets_are_where_the_daemon_looks_for_them_and_nobody_else_may_read_them() {
    let pod = pod(PODS[0]);
    let daemon = &pod["containers"][0];
    let credentials = list(&pod["volumes"]).into_iter().find(|volume| volume["name"] == "credentials").unwrap();
    let mounts = list(&daemon["volumeMounts"]);
    let mount = mounts.iter().find(|mount| mount["name"] == "credentials").unwrap();
    let place = mount["mountPath"].as_str().unwrap();
    let files: BTreeSet<_> = list(&credentials["projected"]["sources"][0]["secret"]["items"])
        .iter()
        .map(|item| format!("{place}/{}", item["path"].as_str().unwrap()))
        .collect();
    let looked_for = list(&daemon["env"]).into_iter().filter(|it| it["name"].as_str().unwrap().ends_with("_FILE"));
    let looked_for: BTreeSet<_> = looked_for.map(|it| it["value"].as_str().unwrap().to_owned()).collect();
    assert_eq!((files.len(), files), (3, looked_for));
    // YAML 1.1, which Kubernetes reads, takes it for octal.
    assert!(text("kubernetes/base/statefulset.yaml").contains("            defaultMode: 0440\n"));
    assert_eq!(pod["securityContext"]["fsGroup"], pod["securityContext"]["runAsGroup"]);
}

#[test]
fn the_network_policy_lets_in_the_monitoring_alone_and_out_only_names_and_https() {
    let policy = &yaml("kubernetes/base/network-policy.yaml")["spec"];
    assert_eq!(strings(&policy["policyTypes"]), ["Ingress", "Egress"]);
    let ingress = list(&policy["ingress"]);
    let from = &ingress[0]["from"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"];
    // Where deploy/monitoring puts its own things.
    assert_eq!((ingress.len(), from), (1, &yaml("monitoring/kustomization.yaml")["namespace"]));
    let out = list(&policy["egress"]);
    let ports: Vec<_> =
        out.iter().flat_map(|rule| list(&rule["ports"])).map(|it| it["port"].as_u64().unwrap()).collect();
    assert_eq!(ports, [53, 53, 443]);
    assert!(out.iter().all(|rule| !list(&rule["to"]).is_empty()), "every way out has an end");
}

/// A generator's literals, as (name, value).
fn literals(organization: &Value) -> Vec<(String, String)> {
    let all = list(&organization["configMapGenerator"]).into_iter().flat_map(|map| strings(&map["literals"]));
    all.map(|it| it.split_once('=').map(|(name, value)| (name.into(), value.into())).unwrap()).collect()
}

#[test]
fn several_organizations_share_nothing() {
    let overlay = "kubernetes/overlays/several";
    let organizations = strings(&yaml(&format!("{overlay}/kustomization.yaml"))["resources"]);
    let folders = fs::read_dir(folder().join(overlay)).unwrap().map(|entry| entry.unwrap());
    let folders: BTreeSet<_> =
        folders.filter(|it| it.path().is_dir()).map(|it| it.file_name().into_string().unwrap()).collect();
    assert_eq!(
        organizations.iter().cloned().collect::<BTreeSet<_>>(),
        folders,
        "each folder is named, and each is there"
    );
    let (mut namespaces, mut zoids) = (BTreeSet::new(), BTreeSet::new());
    for organization in &organizations {
        let organization = yaml(&format!("{overlay}/{organization}/kustomization.yaml"));
        namespaces.insert(organization["namespace"].as_str().unwrap().to_owned());
        let values = literals(&organization);
        zoids.extend(values.iter().filter(|(name, _)| name == "ZOHO_MAIL_ZOID").map(|(_, value)| value.clone()));
        // The sidecar wants a repository; without it there has to be another source of manifests.
        let cloned = strings(&organization["components"]).iter().any(|it| it.ends_with("/git-sync"));
        assert_eq!(cloned, values.iter().any(|(name, _)| name == "GITSYNC_REPO"));
        assert_eq!(strings(&organization["components"]).len(), 1);
    }
    assert_eq!((namespaces.len(), zoids.len()), (organizations.len(), organizations.len()));
    assert!(organizations.len() > 1);
}

#[test]
fn the_monitors_find_what_the_base_labels() {
    let pairs: Vec<_> = list(&yaml("kubernetes/base/kustomization.yaml")["labels"])
        .into_iter()
        .flat_map(|it| it["pairs"].as_mapping().unwrap().clone())
        .collect();
    let monitor = yaml("monitoring/pod-monitor.yaml");
    for wanted in monitor["spec"]["selector"]["matchLabels"].as_mapping().unwrap() {
        assert!(pairs.iter().any(|(name, value)| (name, value) == wanted), "{wanted:?}");
    }
    let budget = yaml("kubernetes/base/disruption-budget.yaml");
    for wanted in budget["spec"]["selector"]["matchLabels"].as_mapping().unwrap() {
        assert!(pairs.iter().any(|(name, value)| (name, value) == wanted), "{wanted:?}");
    }
}
