// A scheduler on mesos-rxjava: two commands on the first offer that has room for them. It says what it hears, and ends when both
// have.

import static com.mesosphere.mesos.rx.java.SinkOperations.sink;

import com.google.protobuf.ByteString;
import com.mesosphere.mesos.rx.java.AwaitableSubscription;
import com.mesosphere.mesos.rx.java.SinkOperation;
import com.mesosphere.mesos.rx.java.protobuf.ProtobufMesosClientBuilder;
import com.mesosphere.mesos.rx.java.protobuf.SchedulerCalls;
import com.mesosphere.mesos.rx.java.util.UserAgentEntries;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.mesos.v1.Protos.CommandInfo;
import org.apache.mesos.v1.Protos.FrameworkID;
import org.apache.mesos.v1.Protos.FrameworkInfo;
import org.apache.mesos.v1.Protos.Offer;
import org.apache.mesos.v1.Protos.Resource;
import org.apache.mesos.v1.Protos.TaskID;
import org.apache.mesos.v1.Protos.TaskInfo;
import org.apache.mesos.v1.Protos.TaskState;
import org.apache.mesos.v1.Protos.TaskStatus;
import org.apache.mesos.v1.Protos.Value;
import org.apache.mesos.v1.scheduler.Protos.Call;
import org.apache.mesos.v1.scheduler.Protos.Event;
import rx.Observable;

public final class Commands {
    private static final int TASKS = 2;

    private FrameworkID framework;
    private boolean launched;
    private int finished;

    public static void main(final String[] arguments) throws Throwable {
        final Commands commands = new Commands();
        final FrameworkInfo info =
            FrameworkInfo.newBuilder().setUser("root").setName("java").setFailoverTimeout(600).build();
        final Call subscribe =
            Call.newBuilder()
                .setType(Call.Type.SUBSCRIBE)
                .setSubscribe(Call.Subscribe.newBuilder().setFrameworkInfo(info))
                .build();
        final AwaitableSubscription stream =
            ProtobufMesosClientBuilder.schedulerUsingProtos()
                .mesosUri(URI.create(arguments[0]))
                .applicationUserAgentEntry(UserAgentEntries.literal("commands", "1"))
                .subscribe(subscribe)
                .processStream(events -> events.flatMap(commands::hear))
                .build()
                .openStream();
        stream.await();
        System.out.println("the stream has ended");
    }

    private Observable<Optional<SinkOperation<Call>>> hear(final Event event) {
        switch (event.getType()) {
            case SUBSCRIBED:
                framework = event.getSubscribed().getFrameworkId();
                System.out.println("subscribed " + framework.getValue());
                return Observable.empty();
            case OFFERS:
                return Observable.from(event.getOffers().getOffersList()).map(this::answer).map(this::says);
            case UPDATE:
                return Observable.from(acknowledge(event.getUpdate().getStatus())).map(Optional::of);
            case ERROR:
                System.out.println("error " + event.getError().getMessage());
                return Observable.empty();
            default:
                return Observable.empty();
        }
    }

    private Optional<SinkOperation<Call>> says(final Call call) {
        return Optional.of(sink(call, () -> { }, error -> System.out.println("error " + error)));
    }

    private Call answer(final Offer offer) {
        if (launched) {
            return SchedulerCalls.decline(framework, List.of(offer.getId()));
        }
        launched = true;
        final Offer.Operation.Launch.Builder launch = Offer.Operation.Launch.newBuilder();
        for (int number = 1; number <= TASKS; number++) {
            launch.addTaskInfos(
                TaskInfo.newBuilder()
                    .setName("task")
                    .setTaskId(TaskID.newBuilder().setValue("java-" + number))
                    .setAgentId(offer.getAgentId())
                    .setCommand(CommandInfo.newBuilder().setShell(true).setValue("exit 0"))
                    .addResources(scalar("cpus", 0.1))
                    .addResources(scalar("mem", 32)));
        }
        return Call.newBuilder()
            .setType(Call.Type.ACCEPT)
            .setFrameworkId(framework)
            .setAccept(
                Call.Accept.newBuilder()
                    .addOfferIds(offer.getId())
                    .addOperations(
                        Offer.Operation.newBuilder().setType(Offer.Operation.Type.LAUNCH).setLaunch(launch)))
            .build();
    }

    private static Resource.Builder scalar(final String name, final double amount) {
        return Resource.newBuilder()
            .setName(name)
            .setRole("*")
            .setType(Value.Type.SCALAR)
            .setScalar(Value.Scalar.newBuilder().setValue(amount));
    }

    private List<SinkOperation<Call>> acknowledge(final TaskStatus status) {
        System.out.println(status.getTaskId().getValue() + " " + status.getState());
        final List<SinkOperation<Call>> calls = new ArrayList<>();
        if (status.hasUuid()) {
            final ByteString uuid = status.getUuid();
            final Call call =
                SchedulerCalls.ackUpdate(framework, uuid, status.getAgentId(), status.getTaskId());
            finished += status.getState() == TaskState.TASK_FINISHED ? 1 : 0;
            final boolean last = finished == TASKS;
            calls.add(sink(call, () -> { if (last) over(); }, error -> System.out.println("error " + error)));
        }
        return calls;
    }

    private static void over() {
        System.out.println("over");
        System.exit(0);
    }
}
