//! x
use super::*;
#[test]
fn schema_dump() {
    println!("{:#}", json_schema());
    for t in [
        "a: 1\n  b: 2\n",
        "a:\n\tb: 1",
        "apiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nmetadata: {name: alice}\nspec:\n  accountId: 0x10\n  zuid: 1_000\n  enabeld: yes\n  enabled: \"yes\"\n  activeSyncEnabled:\n  suspendReason: x\n  <<: {}\n",
        "- a",
        "kind: DisruptionBudget",
        "a: [1",
        "a: !!str 5\n? [x]\n: 1",
    ] {
        let p = parse(&"sales/x.yaml".into(), t.as_bytes(), Rules::default());
        for problem in &p.problems {
            println!("{problem}");
            println!("{}", explain(problem, Some(t), false));
        }
        println!("{:?} {}", p.claims, p.documents.len());
    }
}
