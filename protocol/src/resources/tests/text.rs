//! The text form, the JSON that operators write, and attributes.

use super::*;

fn said(text: &str) -> String {
    text.parse::<Resources>().expect_err(text).to_string()
}

#[test]
fn res_01_text_and_display_agree() {
    let all = parsed("ports:[10-12,1-5,6-7];cpus:1.5; mem:1024 ;disks:{b,a,b};cpus:0.25");
    assert_eq!(all.to_string(), "cpus:1.75;disks:{a,b};mem:1024;ports:[1-7,10-12]");
    assert_eq!(parsed(&all.to_string()), all);
    assert_eq!(
        parsed("ports:[1-10,12-12];disks:{a,b}").to_string(),
        "disks:{a,b};ports:[1-10,12-12]"
    );
    assert_eq!(
        parsed("p:[1-3,2-5,6-6,8-9]").to_string(),
        "p:[1-6,8-9]",
        "overlapping ranges are one"
    );
    assert_eq!(Resources::none().to_string(), "nothing");
}

#[test]
fn res_01_bad_text_says_what_is_wrong() {
    assert_eq!(said("cpus"), "'cpus' is not of the form name:value or name(role):value");
    assert_eq!(said("cpus:-1"), "'cpus' is -1: it must not be negative");
    assert!(said("cpus:much").contains("'much' is no value for 'cpus'"));
    for ranges in
        ["[9-1]", "[1]", "[1-]", "[-1]", "[1-2-3]", "[a-b]", "[1-2", "[0-18446744073709551616]"]
    {
        assert!(said(&format!("ports:{ranges}")).contains("is no value for 'ports'"), "{ranges}");
    }
    for number in ["inf", "-inf", "NaN", "infinity", "", "1,5", "0x10"] {
        assert!(said(&format!("cpus:{number}")).contains("is no value for 'cpus'"), "{number}");
    }
    assert!(said("cpus:1e308").contains("'cpus' is 1e308: it must be at most 1000000000000"));
    assert!(
        said("mem:999999999999;mem:1;mem(eng):1")
            .contains("mem:1000000000001 in all: an amount must be at most")
    );
    assert!(said(":1").contains("is not a resource's name"));
    for name in ["a b", "a{b", "a]", &"n".repeat(256)] {
        assert!(said(&format!("{name}:1")).contains("is not a resource's name"), "{name}");
    }
    let many = vec!["cpus:1"; 100_000].join(";");
    assert_eq!(said(&many), "100000 entries are more than 1000");
    let ranges: Vec<String> = (0..100_000).map(|n| format!("{}-{}", 2 * n, 2 * n)).collect();
    assert!(
        said(&format!("p:[{}]", ranges.join(",")))
            .contains("'p' has 100000 ranges or names, more than 65536")
    );
}

#[test]
fn res_01_scalars_have_three_decimals() {
    let cpus = |text: &str| parsed(&format!("cpus:{text}")).cpus();
    for (text, thousandths) in [
        ("1.0014", 1001),
        ("1.0015", 1002),
        ("0.0005", 1),
        ("0.1", 100),
        ("1e3", 1_000_000),
        ("0.99999", 1000),
        ("-0", 0),
        ("999999999999.999", 999_999_999_999_999),
        ("1000000000000", 1_000_000_000_000_000),
    ] {
        assert_eq!(cpus(text), Milli(thousandths), "{text}");
    }
    assert!(parsed("cpus:0;mem:0;ports:[];disks:{}").is_empty(), "nothing vanishes");
    // But nothing else does.
    assert_eq!(
        said("cpus:0.0004"),
        "'cpus' is 0.0004: it is less than a thousandth: write 0, or at least 0.001"
    );
    assert_eq!(parsed("cpus:0.1;cpus:0.2").to_string(), "cpus:0.3");
}

#[test]
fn rsv_01_a_name_with_a_role_is_reserved_for_it() {
    let all = parsed("cpus(eng/web):2;cpus:1;mem( eng ) : 64;ports(*):[1-2];cpus(eng/web):0.5");
    assert_eq!(all.to_string(), "cpus:1;cpus(eng/web):2.5;mem(eng):64;ports:[1-2]");
    assert_eq!(parsed(&all.to_string()), all);
    let of_web = all.reserved_to(&role("eng/web"));
    let [web] = &of_web.iter().collect::<Vec<_>>()[..] else { panic!("{of_web}") };
    assert_eq!(web.kind, Kind::reserved(role("eng/web")), "one reservation, of as many levels");
    assert_eq!(web.kind.terms().map(|terms| terms.reservations.len()), Some(1));
    for (bad, why) in [
        ("a//b", "has an empty part"),
        ("..", "'.' or '..'"),
        ("*/x", "stands alone"),
        ("", "must not be empty"),
        ("a b", "white space"),
        ("-a", "begins with '-'"),
        (&*"a/".repeat(300), "is deeper than 128"),
    ] {
        let said = said(&format!("cpus({bad}):1"));
        assert!(said.contains("'cpus' cannot be reserved") && said.contains(why), "{said}");
    }
    for no_form in ["cpus(eng", "cpus(eng:1", "cpus(eng)1", "cpus(eng)"] {
        assert!(said(no_form).contains("is not of the form"), "{no_form}");
    }
}

#[test]
fn rsv_01_what_names_no_role_is_for_the_default_role() {
    let named = |text: &str| Named::parse(text, &role("eng")).expect(text);
    let text = named("cpus:1;mem(*):64;disk(ops):5;gpus:0");
    assert_eq!(text.resources.to_string(), "cpus(eng):1;disk(ops):5;mem:64");
    let names: Vec<&str> = text.names.iter().map(|name| &**name).collect();
    assert_eq!(names, ["cpus", "disk", "gpus", "mem"], "of gpus there are to be none");
    let json = r#"[{"name":"cpus","type":"SCALAR","scalar":{"value":1}},
        {"name":"mem","type":"SCALAR","scalar":{"value":64},"role":"*"},
        {"name":"disk","type":"SCALAR","scalar":{"value":5},"role":"ops"},
        {"name":"gpus","type":"SCALAR","scalar":{"value":0}}]"#;
    assert_eq!(named(json), text);
}

#[test]
fn res_01_operators_may_write_json() {
    let json = r#" [
        {"name":"cpus","type":"SCALAR","scalar":{"value":8},"reservations":[{"type":"STATIC","role":"eng/web"}]},
        {"name":"ports","type":"RANGES","ranges":{"range":[{"begin":1,"end":5},{"begin":9,"end":9}]}},
        {"name":"disks","type":"SET","set":{"item":["b","a"]},"role":"eng"},
        {"name":"disk","type":"SCALAR","scalar":{"value":2048},
         "disk":{"source":{"type":"MOUNT","mount":{"root":"/mnt/a"}}}}] "#;
    let all = parsed(json);
    assert_eq!(
        all.to_string(),
        "cpus(eng/web):8;disk on mount /mnt/a:2048;disks(eng):{a,b};ports:[1-5,9-9]"
    );
    assert_eq!(parsed(&all.to_json()), all);
    assert_eq!(parsed(&format!(r#"{{"resources":{json}}}"#)), all);
    let one = |fields: &str| {
        let text = format!(r#"[{{"name":"cpus","type":"SCALAR","scalar":{{"value":1}}{fields}}}]"#);
        said(&text)
    };
    assert!(said("[{").contains("it is no list of resources in JSON: EOF"));
    assert!(one(r#","reservatoins":[]"#).contains("unknown field"));
    assert!(one(r#","role":"a//b""#).contains("resource 1 of the list: 'cpus': Role 'a//b'"));
    for later in [
        r#","revocable":{}"#,
        r#","role":"eng","reservation":{"principal":"ops"}"#,
        r#","allocation_info":{"role":"eng"}"#,
    ] {
        assert!(one(later).contains("it comes while the cluster runs"), "{later}");
    }
    let value = |value: &str| {
        said(&format!(r#"[{{"name":"cpus","type":"SCALAR","scalar":{{"value":{value}}}}}]"#))
    };
    assert!(value("-1").contains("must be a number from 0"));
    assert!(value("1e308").contains("must be a number from 0"));
    assert!(value("1e999").contains("JSON"));
    assert!(
        said(r#"[{"name":"cpus","type":"RANGES","scalar":{"value":1}}]"#)
            .contains("the value of its type")
    );
    assert!(said(r#"[{"name":"cpus","type":"SCALAR"}]"#).contains("and has none"));
    let one = r#"{"name":"cpus","type":"SCALAR","scalar":{"value":1}}"#;
    assert!(
        said(&format!("[{}]", vec![one; 1001].join(",")))
            .contains("1001 entries are more than 1000")
    );
    assert!(said(&"[".repeat(100_000)).contains("JSON"), "as deep as it likes");
}

#[test]
fn res_01_attributes_are_numbers_ranges_sets_and_texts() {
    let text =
        "rack:r1;cores:45.55;ports:[10000-20000, 30000-50000];version:1.2.3;nan:NaN; zone : a:b ";
    let attributes = parse_attributes(text).expect(text);
    let typed: Vec<AttributeValue> = attributes.iter().map(Attribute::typed).collect();
    let text = |text: &str| AttributeValue::Text(text.into());
    assert_eq!(
        typed,
        [
            text("r1"),
            AttributeValue::Scalar(Milli(45_550)),
            AttributeValue::Ranges(Ranges::new([(10_000, 20_000), (30_000, 50_000)])),
            text("1.2.3"),
            text("NaN"),
            text("a:b"),
        ]
    );
    let set = AttributeValue::Set(vec!["a".into(), "b".into()]);
    assert_eq!(AttributeValue::of("{b,a}"), set, "as others may say");
    assert_eq!((typed[0].text(), typed[1].text()), (Some("r1"), None));
    assert_eq!(attributes[2].value, "[10000-20000, 30000-50000]", "kept as it was written");
    for bad in ["rack", ":r1", "ports:[1-", "ports:[9-1]", "disks:{a", "disks:{b,a}", "a b:c"] {
        assert!(parse_attributes(bad).is_err(), "{bad}");
    }
}

#[test]
fn people_are_shown_all_terms() {
    let shown: Vec<String> = disks()
        .into_iter()
        .map(|kind| {
            Resource { kind, ..Resource::unreserved("disk", Value::Scalar(Milli(1))) }.to_string()
        })
        .collect();
    assert_eq!(shown[0], "disk on path /p:0.001");
    assert_eq!(shown[5], "disk on raw storage i v p k:0.001");
    assert_eq!(shown[8], "disk(eng dynamic) on mount /m i volume on a mount at data:0.001");
    assert_eq!(shown[9], "disk(eng dynamic) volume s at data shared:0.001");
    let plain: Vec<String> =
        kinds().iter().map(|kind| with_kind("cpus:1", kind).to_string()).collect();
    assert_eq!(plain[3], "cpus(eng dynamic by ops k=v l):1");
    assert_eq!(plain[5], "cpus revocable:1");
    assert_eq!(plain[7], "cpus(eng, eng/web dynamic) allocated to web:1");
    for text in shown.iter().chain(&plain[3..]) {
        assert!(
            !text.parse::<Resources>().is_ok_and(|read| read.to_string() != *text),
            "{text} is read as something else"
        );
    }
}

/// Text that is nearly right.
fn nearly() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("cpus"),
        Just("ports"),
        Just("disks"),
        Just(":"),
        Just(";"),
        Just("("),
        Just(")"),
        Just("["),
        Just("]"),
        Just("{"),
        Just("}"),
        Just(","),
        Just("-"),
        Just("eng/web"),
        Just("*"),
        Just("1"),
        Just("18446744073709551615"),
        Just("0.0005"),
        Just("1e9"),
        Just("a"),
        Just(" "),
        Just("é"),
        Just("):"),
        Just("cpus(eng):1;"),
        Just("p:[1-3,2-9];"),
        Just("d:{a,b};"),
    ];
    proptest::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn res_01_no_text_makes_it_fail_and_what_is_read_is_shown_so_that_it_is_read_again(
        text in prop_oneof![2 => nearly(), 1 => ".{0,40}"],
    ) {
        let _ = (parse_attributes(&text), AttributeValue::of(&text), text.parse::<Role>());
        if let Ok(read) = text.parse::<Resources>() {
            prop_assert_eq!(read.check(), Ok(()));
            if !read.is_empty() {
                prop_assert_eq!(read.to_string().parse::<Resources>(), Ok(read.clone()));
            }
            prop_assert_eq!(Resources::from_json(&read.to_json()), Ok(read));
        }
    }
}
