// A scheduler on mesos-framework: one task of two instances. It says what it hears, and ends when both have.
"use strict";

var framework = require("mesos-framework");
var mesos = framework.Mesos.getMesos();

var TASKS = 2;
var at = process.argv[2].split(":");
var finished = 0;

var scheduler = new framework.Scheduler({
    masterUrl: at[0],
    port: at[1],
    frameworkName: "node",
    logging: { level: "error" },
    tasks: {
        task: {
            priority: 1,
            instances: TASKS,
            commandInfo: new mesos.CommandInfo(null, null, true, "exit 0", null, null),
            resources: { cpus: 0.1, mem: 32, ports: 1, disk: 0 },
        },
    },
});

scheduler.on("ready", function () {
    scheduler.subscribe();
});

scheduler.on("subscribed", function (subscribed) {
    console.log("subscribed " + subscribed.frameworkId);
});

// The client itself acknowledges.
scheduler.on("update", function (update) {
    console.log(update.status.task_id.value.split(".")[1] + " " + update.status.state);
    finished += update.status.state === "TASK_FINISHED" ? 1 : 0;
    if (finished === TASKS) {
        scheduler.teardown();
    }
});

scheduler.on("error", function (error) {
    console.log("error " + (error.message || error));
});

scheduler.on("sent_teardown", function () {
    console.log("over");
    process.exit(0);
});
