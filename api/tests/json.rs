//! Every rule of Mesos's JSON mapping, by texts that were written by hand.

use api::json::{ReadError, read, write, write_into};
use api::v1::{self, executor, master, quota, scheduler};

type Call = scheduler::Call;

#[track_caller]
fn reads(text: &str) -> Call {
    read(text.as_bytes()).unwrap_or_else(|why| panic!("{text}: {why}"))
}

/// A text that is no Call, and why not.
#[track_caller]
fn misshapen(text: &str, why: &str) {
    let refused = read::<Call>(text.as_bytes()).expect_err(text).to_string();
    assert_eq!(refused, format!("Failed to convert JSON into Call protobuf: {why}"), "{text}");
}

/// A text that is no JSON.
#[track_caller]
fn unparsable(text: impl AsRef<[u8]>) {
    let refused = read::<Call>(text.as_ref()).expect_err("no JSON");
    assert!(matches!(refused, ReadError::Syntax(_)), "{refused}");
    assert!(refused.to_string().starts_with("Failed to parse body into JSON: "), "{refused}");
}

/// The filters of a call that declines.
fn declined(filters: &str) -> v1::Filters {
    let call = reads(&format!(r#"{{"decline":{{"filters":{filters}}}}}"#));
    call.decline.and_then(|decline| decline.filters).expect("they were given")
}

// --- out

#[test]
fn a_call_is_written_compactly_with_the_schemas_names_in_its_order() {
    let call = Call {
        r#type: Some(scheduler::call::Type::Kill.into()),
        framework_id: Some(v1::FrameworkId { value: "f".into() }),
        kill: Some(scheduler::call::Kill {
            task_id: v1::TaskId { value: "t".into() },
            agent_id: Some(v1::AgentId { value: "a".into() }),
            kill_policy: None,
        }),
        ..Call::default()
    };
    let text = r#"{"framework_id":{"value":"f"},"type":"KILL","kill":{"task_id":{"value":"t"},"agent_id":{"value":"a"}}}"#;
    assert_eq!(write(&call), text);
    assert_eq!(reads(text), call);
    let mut out = b"data: ".to_vec();
    write_into(&Call::default(), &mut out);
    assert_eq!(out, b"data: {}");
}

#[test]
fn fields_are_written_in_the_order_of_the_schema_and_not_of_their_numbers() {
    let resource = v1::Resource {
        provider_id: Some(v1::ResourceProviderId { value: "p".into() }),
        name: "cpus".into(),
        scalar: Some(v1::value::Scalar { value: 15.0 }),
        revocable: Some(v1::resource::RevocableInfo {}),
        shared: Some(v1::resource::SharedInfo {}),
        ..v1::Resource::default()
    };
    let text = r#"{"provider_id":{"value":"p"},"name":"cpus","type":"SCALAR","scalar":{"value":15.0},"revocable":{},"shared":{}}"#;
    assert_eq!(write(&resource), text, "the unset role is deprecated: its default is not written");
}

#[test]
fn defaults_are_written_unasked_and_read_as_they_are_not_set() {
    assert_eq!(write(&v1::Filters::default()), r#"{"refuse_seconds":5.0}"#);
    assert_eq!(write(&v1::CommandInfo::default()), r#"{"shell":true}"#);
    let uri = v1::command_info::Uri { value: "u".into(), ..Default::default() };
    assert_eq!(write(&uri), r#"{"value":"u","extract":true}"#);
    let protocol = v1::health_check::TcpCheckInfo { port: 1, ..Default::default() };
    assert!(write(&protocol).contains(r#""protocol":"IPv4""#), "{}", write(&protocol));
    let framework = v1::FrameworkInfo::default();
    let text = r#"{"user":"","name":"","failover_timeout":0.0,"checkpoint":false}"#;
    assert_eq!(write(&framework), text);
    assert_eq!(declined("{}"), v1::Filters { refuse_seconds: None });
    assert_eq!(declined("{}").refuse_seconds(), 5.0);
    let explicit = v1::CommandInfo { shell: Some(false), ..Default::default() };
    assert_eq!(write(&explicit), r#"{"shell":false}"#);
    let task: v1::TaskInfo =
        read(br#"{"name":"n","task_id":{"value":"t"},"agent_id":{"value":"a"},"command":{}}"#)
            .unwrap();
    assert!(task.command.unwrap().shell());
}

#[test]
fn bytes_are_base64_and_wide_numbers_are_numbers() {
    let message = scheduler::call::Message { data: b"\x00\xff\xfe".to_vec(), ..Default::default() };
    assert!(write(&message).ends_with(r#""data":"AP/+"}"#));
    let empty = scheduler::call::Message::default();
    assert!(write(&empty).ends_with(r#""data":""}"#));
    let range = v1::value::Range { begin: 0, end: u64::MAX };
    assert_eq!(write(&range), r#"{"begin":0,"end":18446744073709551615}"#);
    let duration = v1::DurationInfo { nanoseconds: i64::MIN };
    assert_eq!(write(&duration), r#"{"nanoseconds":-9223372036854775808}"#);
    let failure = scheduler::event::Failure { status: Some(-1), ..Default::default() };
    assert_eq!(write(&failure), r#"{"status":-1}"#);
}

#[test]
fn numbers_that_are_none_are_written_bare() {
    for (value, text) in
        [(f64::INFINITY, "Infinity"), (f64::NEG_INFINITY, "-Infinity"), (f64::NAN, "NaN")]
    {
        let written = write(&v1::value::Scalar { value });
        assert_eq!(written, format!("{{\"value\":{text}}}"));
        assert!(
            read::<v1::value::Scalar>(written.as_bytes()).is_err(),
            "Mesos does not read it, either"
        );
    }
}

#[test]
fn an_enums_number_without_a_name_is_left_out() {
    assert_eq!(write(&Call { r#type: Some(77), ..Call::default() }), "{}");
    let probe = v1::health_check::TcpCheckInfo { protocol: Some(77), port: 1 };
    assert!(write(&probe).contains(r#""protocol":"IPv4""#), "not set: its default is written");
    let resource = v1::Resource { r#type: 77, ..v1::Resource::default() };
    assert_eq!(write(&resource), r#"{"name":""}"#);
}

#[test]
fn texts_are_escaped_where_they_must_be() {
    let id = v1::TaskId { value: "\"\\/\u{8}\u{c}\n\r\t\u{0}\u{1f}\u{7f}é😀".into() };
    let text = "{\"value\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001F\u{7f}é😀\"}";
    assert_eq!(write(&id), text);
    assert_eq!(read(text.as_bytes()), Ok(id));
    let escaped = r#"{"value":"\u00e9\ud83d\ude00\/"}"#;
    assert_eq!(read(escaped.as_bytes()), Ok(v1::TaskId { value: "é😀/".into() }));
}

#[test]
fn maps_are_objects_and_left_out_when_they_are_empty() {
    let one = v1::value::Scalar { value: 1.0 };
    let mut config = quota::QuotaConfig { role: "r".into(), ..Default::default() };
    assert_eq!(write(&config), r#"{"role":"r"}"#);
    config.limits.insert("cpus".into(), one);
    config.limits.insert(String::new(), v1::value::Scalar { value: 0.0 });
    let text = write(&config);
    assert!(
        text.contains(r#""cpus":{"value":1.0}"#) && text.contains(r#""":{"value":0.0}"#),
        "{text}"
    );
    assert_eq!(read(text.as_bytes()), Ok(config.clone()));
    let listed = r#"{"role":"r","limits":[{"cpus":{"value":1}},{"":{"value":0}}]}"#;
    assert_eq!(read(listed.as_bytes()), Ok(config), "a list of objects is one");
    let null = r#"{"role":"r","limits":{"cpus":null}}"#;
    let refused = read::<quota::QuotaConfig>(null.as_bytes()).unwrap_err().to_string();
    assert!(refused.ends_with("Missing required fields: limits[0].value.value"), "{refused}");
}

// --- in

#[test]
fn unknown_keys_and_nulls_are_ignored() {
    let call = reads(
        r#" { "slave_id": {"value": [1, {"a": null}]}, "type": "REVIVE", "framework_id": null,
              "accept": null, "\u0000": 1e5 } "#,
    );
    assert_eq!(
        call,
        Call { r#type: Some(scheduler::call::Type::Revive.into()), ..Call::default() }
    );
    let revive = reads(r#"{"revive":{"roles":["a",null,"b"]}}"#).revive.unwrap();
    assert_eq!(revive.roles, ["a", "b"]);
    misshapen(r#"{"framework_id":{"value":null}}"#, "Missing required fields: framework_id.value");
}

#[test]
fn numbers_may_be_texts_and_are_cast() {
    for (given, seconds) in [
        ("7", 7.0),
        ("7.25", 7.25),
        ("\"7.25\"", 7.25),
        ("\" 7 \"", 7.0),
        ("1e3", 1000.0),
        ("\"Infinity\"", f64::INFINITY),
        ("\"-Infinity\"", f64::NEG_INFINITY),
        ("18446744073709551616", 18_446_744_073_709_551_616.0),
        ("0.1", 0.1),
        ("123456789.12345679", 123_456_789.123_456_79),
    ] {
        let read = declined(&format!(r#"{{"refuse_seconds":{given}}}"#));
        assert_eq!(read.refuse_seconds, Some(seconds), "{given}");
    }
    let range = |begin: &str| {
        let text = format!(r#"{{"begin":{begin},"end":1}}"#);
        read::<v1::value::Range>(text.as_bytes())
            .unwrap_or_else(|why| panic!("{text}: {why}"))
            .begin
    };
    for (given, begin) in [
        ("5.7", 5),
        ("\"5\"", 5),
        ("\"5.7\"", 5),
        ("-1", u64::MAX),
        ("9223372036854775807", i64::MAX as u64),
        ("9223372036854775809", 1 << 63), // a double, which has fewer digits
        ("18446744073709551615", u64::MAX),
        ("18446744073709551616", u64::MAX),
        ("1e300", u64::MAX),
    ] {
        assert_eq!(range(given), begin, "{given}");
    }
    let status = |status: &str| {
        let text = format!(r#"{{"status":{status}}}"#);
        read::<scheduler::event::Failure>(text.as_bytes()).unwrap().status
    };
    assert_eq!(status("-5"), Some(-5));
    assert_eq!(status("\"-5.9\""), Some(-5));
    assert_eq!(status("4294967295"), Some(-1));
    assert_eq!(status("1e300"), Some(i32::MAX));
}

#[test]
fn numbers_that_are_none_are_refused() {
    let filters =
        |value: &str| format!(r#"{{"decline":{{"filters":{{"refuse_seconds":{value}}}}}}}"#);
    for text in ["NaN", "five", "", "5 5"] {
        let refused =
            read::<Call>(filters(&format!("\"{text}\"")).as_bytes()).unwrap_err().to_string();
        let start = "Failed to convert JSON into Call protobuf: Failed to parse";
        let wanted = format!("{start} '{text}' as a JSON number for field 'refuse_seconds': ");
        assert!(refused.starts_with(&wanted), "{refused}");
    }
    misshapen(&filters("true"), "Not expecting a JSON boolean for field 'refuse_seconds'");
    misshapen(&filters("{}"), "Not expecting a JSON object for field 'refuse_seconds'");
    misshapen(&filters("[5]"), "Not expecting a JSON array for field 'refuse_seconds'");
    for text in ["1e400", "-1e400", "NaN", "Infinity", "0x5", "+5", "."] {
        unparsable(filters(text));
    }
}

#[test]
fn booleans_may_be_texts_and_nothing_else() {
    let shell = |value: &str| format!(r#"{{"shell":{value}}}"#);
    for (given, shell_is) in
        [("true", true), ("\"true\"", true), ("false", false), ("\" false\"", false)]
    {
        let command: v1::CommandInfo = read(shell(given).as_bytes()).unwrap();
        assert_eq!(command.shell, Some(shell_is), "{given}");
    }
    for bad in ["1", "\"True\"", "\"1\"", "\"\"", "[true]", "{}"] {
        let refused = read::<v1::CommandInfo>(shell(bad).as_bytes()).expect_err(bad);
        assert!(matches!(refused, ReadError::Shape { message: "CommandInfo", .. }), "{refused}");
    }
}

#[test]
fn an_unknown_name_of_an_enum_is_no_value() {
    assert_eq!(reads(r#"{"type":"OF_TOMORROW"}"#), Call::default());
    let info =
        r#"{"user":"u","name":"n","capabilities":[{"type":"OF_TOMORROW"},{"type":"MULTI_ROLE"}]}"#;
    let info: v1::FrameworkInfo = read(info.as_bytes()).unwrap();
    let types: Vec<_> = info.capabilities.iter().map(|one| one.r#type).collect();
    assert_eq!(types, [None, Some(v1::framework_info::capability::Type::MultiRole.into())]);
    let set = r#"{"set_logging_level":{"level":5},"type":"SET_LOGGING_LEVEL"}"#;
    let refused = read::<master::Call>(set.as_bytes()).unwrap_err().to_string();
    assert!(refused.starts_with("Failed to convert JSON into Call protobuf: Missing"), "{refused}");
    let required = r#"{"name":"cpus","type":"OF_TOMORROW","scalar":{"value":1}}"#;
    let refused = read::<v1::Resource>(required.as_bytes()).unwrap_err().to_string();
    assert!(refused.ends_with(": Failed to find enum for 'OF_TOMORROW'"), "{refused}");
    misshapen(r#"{"type":5}"#, "Not expecting a JSON number for field 'type'");
    misshapen(r#"{"type":true}"#, "Not expecting a JSON boolean for field 'type'");
}

#[test]
fn an_array_is_for_repeated_fields_and_one_value_is_one_of_them() {
    misshapen(r#"{"framework_id":[]}"#, "Not expecting a JSON array for field 'framework_id'");
    misshapen(r#"{"type":["REVIVE"]}"#, "Not expecting a JSON array for field 'type'");
    let roles =
        |roles: &str| reads(&format!(r#"{{"revive":{{"roles":{roles}}}}}"#)).revive.unwrap().roles;
    assert_eq!(roles(r#""a""#), ["a"]);
    assert_eq!(roles(r#"["a",["b",["c"]]]"#), ["a", "b", "c"]);
    assert!(roles("[]").is_empty());
    let one = reads(r#"{"decline":{"offer_ids":{"value":"o"}}}"#).decline.unwrap();
    assert_eq!(one.offer_ids, [v1::OfferId { value: "o".into() }]);
}

#[test]
fn values_of_another_type_are_refused() {
    misshapen(r#"{"framework_id":"f"}"#, "Not expecting a JSON string for field 'framework_id'");
    misshapen(r#"{"framework_id":5}"#, "Not expecting a JSON number for field 'framework_id'");
    misshapen(r#"{"framework_id":{"value":5}}"#, "Not expecting a JSON number for field 'value'");
    misshapen(r#"{"framework_id":{"value":{}}}"#, "Not expecting a JSON object for field 'value'");
    misshapen(r#"{"revive":{"roles":[5]}}"#, "Not expecting a JSON number for field 'roles'");
    for top in ["[]", "5", "-5", "5.5", "\"{}\"", "true", "null"] {
        misshapen(top, "Expecting a JSON object");
    }
}

#[test]
fn bytes_must_be_base64() {
    let text = |data: &str| {
        format!(r#"{{"executor_id":{{"value":"e"}},"agent_id":{{"value":"a"}},"data":"{data}"}}"#)
    };
    let data = |given: &str| {
        read::<scheduler::call::Message>(text(given).as_bytes()).map(|read| read.data)
    };
    for (given, bytes) in [
        ("", &b""[..]),
        ("aGk=", b"hi"),
        ("aGk", b"hi"),
        ("aG\\n k=", b"hi"),
        ("AP/+", b"\0\xff\xfe"),
    ] {
        assert_eq!(data(given).unwrap(), bytes, "{given}");
    }
    for bad in ["*", "aGk*", "a", "AP_-", "é"] {
        let refused = data(bad).expect_err(bad).to_string();
        assert!(refused.contains("Failed to base64 decode bytes field 'data': "), "{refused}");
    }
}

#[test]
fn missing_required_fields_are_listed_by_their_paths() {
    misshapen(r#"{"framework_id":{}}"#, "Missing required fields: framework_id.value");
    misshapen(
        r#"{"accept":{"offer_ids":[{"value":"o"},{}],"operations":[{"launch":{"task_infos":{"name":"n"}}}]},"subscribe":{"framework_info":{}}}"#,
        "Missing required fields: subscribe.framework_info.user, subscribe.framework_info.name, \
         accept.offer_ids[1].value, accept.operations[0].launch.task_infos[0].task_id, \
         accept.operations[0].launch.task_infos[0].agent_id",
    );
    misshapen(r#"{"subscribe":{}}"#, "Missing required fields: subscribe.framework_info");
    misshapen(
        r#"{"subscribe":{"framework_info":null}}"#,
        "Missing required fields: subscribe.framework_info",
    );
}

#[test]
fn the_last_of_equal_keys_wins_whole() {
    assert_eq!(reads(r#"{"type":"KILL","type":"REVIVE"}"#).r#type(), scheduler::call::Type::Revive);
    assert_eq!(reads(r#"{"type":5,"type":"REVIVE"}"#).r#type(), scheduler::call::Type::Revive);
    assert_eq!(reads(r#"{"type":"KILL","type":null}"#).r#type, None);
    let decline =
        reads(r#"{"decline":{"offer_ids":[{"value":"a"}]},"decline":{"filters":{}}}"#).decline;
    assert!(decline.unwrap().offer_ids.is_empty(), "they are not merged");
    let revive = reads(r#"{"revive":{"roles":["a"],"roles":["b"]}}"#).revive;
    assert_eq!(revive.unwrap().roles, ["b"]);
}

#[test]
fn of_a_group_one_field_is_set() {
    type Selector = scheduler::attribute_constraint::Selector;
    let both = r#"{"pseudoattribute_type":"HOSTNAME","attribute_name":"a"}"#;
    let kinds: Vec<Selector> =
        [both, r#"{"attribute_name":"a","pseudoattribute_type":"HOSTNAME"}"#]
            .iter()
            .map(|text| read(text.as_bytes()).unwrap())
            .collect();
    assert_eq!(kinds[0], kinds[1], "the order of keys means nothing");
    assert!(write(&kinds[0]) == r#"{"pseudoattribute_type":"HOSTNAME"}"#, "{}", write(&kinds[0]));
}

#[test]
fn what_is_no_json_is_refused_as_such_wherever_it_stands() {
    for text in [
        "",
        " ",
        "{",
        "}",
        "{} {}",
        "{}x",
        "{}]",
        "{\"type\"}",
        "{type:1}",
        "{'type':1}",
        "{\"a\":1,}",
        "[1,]",
        "nul",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":01}",
        "// {}",
        "{\"type\":5,", // not in shape, either, but that is not said
        "{\"framework_id\":[],\"a\":1e400}",
    ] {
        unparsable(text);
    }
    unparsable(b"{\"framework_id\":{\"value\":\"\xff\"}}");
    unparsable(b"{\"a\":\"\xc3\x28\"}");
    unparsable(b"\xef\xbb\xbf{}");
    assert_eq!(reads("\t\r\n {} \n"), Call::default());
}

#[test]
fn two_hundred_levels_are_read_and_no_more() {
    let nested = |levels: usize, open: &str, close: &str| {
        format!("{{\"a\":{}{}}}", open.repeat(levels - 1), close.repeat(levels - 1))
    };
    let objects = |levels: usize| nested(levels, "{\"a\":", "}").replace(":}", ":{}}");
    assert_eq!(reads(&nested(200, "[", "]")), Call::default());
    unparsable(nested(201, "[", "]"));
    assert!(read::<Call>(objects(150).as_bytes()).is_ok());
    for open in ["[", "{\"a\":", "{\"revive\":", "{\"revive\":{\"roles\":["] {
        unparsable(open.repeat(10_000));
        unparsable(nested(10_000, open, if open == "[" { "]" } else { "}" }));
    }
    let roles = |levels: usize| {
        format!(r#"{{"revive":{{"roles":{}{}}}}}"#, "[".repeat(levels), "]".repeat(levels))
    };
    assert_eq!(reads(&roles(198)).revive.unwrap().roles, [""; 0]);
    unparsable(roles(199));
    // Messages within one another: as many as protobuf reads, and an error in words above.
    let containers = |levels: usize| {
        let start = r#"{"value":"c","parent":"#.repeat(levels);
        format!(r#"{start}{{"value":"c"}}{}"#, "}".repeat(levels))
    };
    assert!(read::<v1::ContainerId>(containers(90).as_bytes()).is_ok());
    let refused = read::<v1::ContainerId>(containers(150).as_bytes()).unwrap_err();
    assert!(matches!(refused, ReadError::Shape { .. }), "{refused}");
    let refused = read::<v1::ContainerId>(containers(10_000).as_bytes()).unwrap_err();
    assert!(matches!(refused, ReadError::Syntax(_)), "{refused}");
}

#[test]
fn a_whole_subscription_is_read_as_clients_send_it() {
    // As a client in the field sends it: pretty, with nulls, empty lists and a key of its own.
    let text = r#"{
        "type": "SUBSCRIBE",
        "framework_id": null,
        "subscribe": {
            "framework_info": {
                "user": "", "name": "x", "id": {"value": "own-1"}, "capabilities": [],
                "failover_timeout": "604800", "checkpoint": "true", "slave_id": "s", "labels": null
            },
            "suppressed_roles": []
        }
    }"#;
    let call = reads(text);
    let info = call.subscribe.unwrap().framework_info;
    assert_eq!((info.failover_timeout, info.checkpoint), (Some(604_800.0), Some(true)));
    assert_eq!(info.id, Some(v1::FrameworkId { value: "own-1".into() }));
}

#[test]
fn errors_name_the_message_that_was_wanted() {
    let refused = read::<executor::Call>(b"{}").unwrap_err().to_string();
    let wanted = "Failed to convert JSON into Call protobuf: Missing required fields: executor_id, framework_id";
    assert_eq!(refused, wanted);
    let refused = read::<v1::TaskId>(b"[]").unwrap_err().to_string();
    assert_eq!(refused, "Failed to convert JSON into TaskID protobuf: Expecting a JSON object");
}

#[test]
fn a_long_list_of_messages_that_say_nothing_is_refused_before_it_takes_memory() {
    let plugin = |count: usize| {
        let containers = "{},".repeat(count - 1);
        let text = format!(r#"{{"type":"t","name":"n","containers":[{containers}{{}}]}}"#);
        read::<v1::CsiPluginInfo>(text.as_bytes()).map(|plugin| plugin.containers.len())
    };
    for (count, words) in [
        (690_000, "would take more than 64 times its size"),
        (1_000_000, "of more than 2097152 is not looked at closely"),
    ] {
        let refused = plugin(count).unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
    }
    assert_eq!(plugin(1_000), Ok(1_000));
}
