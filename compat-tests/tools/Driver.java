import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs upstream's tools one after the other in one JVM: a request per line of JSON on standard input,
 * an answer per line on standard output. A tool sees its own standard streams, and where it would end
 * the process only its own run ends.
 */
public final class Driver {
    private static final ObjectMapper JSON = new ObjectMapper();

    /** A tool ended itself: nothing it does afterwards, while this passes its handlers, counts. */
    private static final class Ended extends Error {
        private static final long serialVersionUID = 1L;

        Ended() {
            super("the tool ended", null, false, false);
        }
    }

    /** What one run reads and writes. */
    private static final class Run {
        final InputStream in;
        final ByteArrayOutputStream out = new ByteArrayOutputStream();
        final ByteArrayOutputStream err = new ByteArrayOutputStream();
        final List<Runnable> hooks = new ArrayList<>();
        Integer code;
        boolean closing;

        Run(byte[] stdin) {
            in = new ByteArrayInputStream(stdin);
        }

        synchronized void end(int status) {
            if (code == null) {
                code = status;
            }
        }

        synchronized void write(ByteArrayOutputStream to, byte[] bytes, int from, int length) {
            // What a handler prints after the end of the process nobody would have seen, but for the
            // hooks that run then.
            if (code == null || closing) {
                to.write(bytes, from, length);
            }
        }
    }

    private static volatile Run current;

    /** Stands where System.out or System.err was, for good: tools keep the stream they find first. */
    private static PrintStream output(boolean error) {
        OutputStream stream = new OutputStream() {
            @Override
            public void write(int b) {
                write(new byte[] {(byte) b}, 0, 1);
            }

            @Override
            public void write(byte[] bytes, int from, int length) {
                Run run = current;
                if (run != null) {
                    run.write(error ? run.err : run.out, bytes, from, length);
                }
            }
        };
        return new PrintStream(stream, true, StandardCharsets.UTF_8);
    }

    private static InputStream input() {
        return new InputStream() {
            @Override
            public int read() throws IOException {
                Run run = current;
                return run == null ? -1 : run.in.read();
            }

            @Override
            public int read(byte[] bytes, int from, int length) throws IOException {
                Run run = current;
                return run == null ? -1 : run.in.read(bytes, from, length);
            }

            @Override
            public int available() throws IOException {
                Run run = current;
                return run == null ? 0 : run.in.available();
            }
        };
    }

    private static void trapExits() {
        Exit.Procedure procedure = (status, message) -> {
            Run run = current;
            if (run != null) {
                run.end(status);
            }
            throw new Ended();
        };
        Exit.setExitProcedure(procedure);
        Exit.setHaltProcedure(procedure);
        Exit.setShutdownHookAdder((name, hook) -> {
            Run run = current;
            if (run != null) {
                run.hooks.add(hook);
            }
        });
    }

    /** Some tools end the process itself: their answer has no code, the process has. */
    private static void answerAtTheEnd(PrintStream answers) {
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            Run run = current;
            if (run != null) {
                answers.println(said(run).put("ended", true));
                answers.flush();
            }
        }));
    }

    private static ObjectNode said(Run run) {
        ObjectNode answer = JSON.createObjectNode();
        answer.put("out", run.out.toString(StandardCharsets.UTF_8));
        answer.put("err", run.err.toString(StandardCharsets.UTF_8));
        return answer;
    }

    private static ObjectNode runTool(JsonNode request) throws Exception {
        String[] args = new String[request.get("args").size()];
        Arrays.setAll(args, i -> request.get("args").get(i).asText());
        Run run = new Run(request.get("stdin").asText().getBytes(StandardCharsets.UTF_8));
        Class<?> tool = Class.forName(request.get("class").asText());
        AtomicReference<Throwable> failure = new AtomicReference<>();
        current = run;
        Thread thread = new Thread(() -> {
            try {
                tool.getMethod("main", String[].class).invoke(null, (Object) args);
                run.end(0);
            } catch (InvocationTargetException wrapped) {
                failure.set(wrapped.getCause());
            } catch (Throwable other) {
                failure.set(other);
            }
        }, "tool");
        thread.setDaemon(true);
        thread.start();
        thread.join(request.get("timeout_ms").asLong());
        boolean hangs = thread.isAlive();
        if (!hangs) {
            run.closing = run.code != null;
        }
        runHooks(run);
        if (hangs) {
            thread.interrupt();
            thread.join(2000);
        } else if (failure.get() != null && !(failure.get() instanceof Ended)) {
            // As java does where main throws.
            System.err.print("Exception in thread \"main\" ");
            failure.get().printStackTrace();
            run.end(1);
        }
        current = null;
        ObjectNode answer = said(run);
        if (run.code == null || hangs) {
            answer.putNull("code");
        } else {
            answer.put("code", run.code);
        }
        return answer;
    }

    private static void runHooks(Run run) throws InterruptedException {
        Thread hooks = new Thread(() -> run.hooks.forEach(Runnable::run), "hooks");
        hooks.setDaemon(true);
        hooks.start();
        hooks.join(5000);
    }

    /** A member of a group that stays until its case ends. */
    private static final class Member implements AutoCloseable {
        private final KafkaConsumer<byte[], byte[]> consumer;
        private final CountDownLatch assigned = new CountDownLatch(1);
        private final Thread thread;
        private volatile boolean stops;

        Member(JsonNode request) {
            Properties properties = new Properties();
            properties.put("auto.offset.reset", "earliest");
            properties.put("enable.auto.commit", "false");
            request.get("properties").properties().forEach(
                    entry -> properties.put(entry.getKey(), entry.getValue().asText()));
            consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
            consumer.subscribe(Arrays.asList(request.get("topics").asText().split(",")));
            boolean commits = request.get("commits").asBoolean();
            thread = new Thread(() -> poll(commits), "member");
            thread.setDaemon(true);
            thread.start();
        }

        private void poll(boolean commits) {
            while (!stops) {
                boolean none = consumer.poll(Duration.ofMillis(50)).isEmpty();
                boolean has = !consumer.assignment().isEmpty();
                if (has && commits && !none) {
                    consumer.commitSync();
                }
                if (has && (!commits || none && hasReadAll())) {
                    assigned.countDown();
                }
            }
            consumer.close();
        }

        /** An answer without records may be of one partition only, or of none yet. */
        private boolean hasReadAll() {
            return consumer.endOffsets(consumer.assignment()).entrySet().stream()
                    .allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
        }

        boolean waitForAssignment(long ms) throws InterruptedException {
            return assigned.await(ms, TimeUnit.MILLISECONDS);
        }

        @Override
        public void close() throws InterruptedException {
            stops = true;
            thread.join(10_000);
        }
    }

    /** A member of a share group that stays until its case ends; what it reads it acknowledges. */
    private static final class ShareMember implements AutoCloseable {
        private final KafkaShareConsumer<byte[], byte[]> consumer;
        private final CountDownLatch wanted;
        private final Thread thread;
        private volatile boolean stops;

        ShareMember(JsonNode request) {
            Properties properties = new Properties();
            request.get("properties").properties().forEach(
                    entry -> properties.put(entry.getKey(), entry.getValue().asText()));
            wanted = new CountDownLatch(request.get("reads").asInt());
            consumer = new KafkaShareConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
            consumer.subscribe(Arrays.asList(request.get("topics").asText().split(",")));
            thread = new Thread(this::poll, "share member");
            thread.setDaemon(true);
            thread.start();
        }

        private void poll() {
            while (!stops) {
                int count = consumer.poll(Duration.ofMillis(50)).count();
                consumer.commitSync();
                for (int i = 0; i < count; i++) {
                    wanted.countDown();
                }
            }
            consumer.close();
        }

        boolean waitForRecords(long ms) throws InterruptedException {
            return wanted.await(ms, TimeUnit.MILLISECONDS);
        }

        @Override
        public void close() throws InterruptedException {
            stops = true;
            thread.join(10_000);
        }
    }

    private static final List<AutoCloseable> MEMBERS = new ArrayList<>();

    private static ObjectNode join(JsonNode request) throws Exception {
        Member member = new Member(request);
        MEMBERS.add(member);
        boolean joined = member.waitForAssignment(request.get("timeout_ms").asLong());
        return JSON.createObjectNode().put("joined", joined);
    }

    private static ObjectNode share(JsonNode request) throws Exception {
        ShareMember member = new ShareMember(request);
        MEMBERS.add(member);
        boolean joined = member.waitForRecords(request.get("timeout_ms").asLong());
        return JSON.createObjectNode().put("joined", joined);
    }

    private static final List<KafkaProducer<byte[], byte[]>> PRODUCERS = new ArrayList<>();

    /** Begins a transaction with one record in each partition named, and leaves it open. */
    private static ObjectNode open(JsonNode request) throws Exception {
        Properties properties = new Properties();
        request.get("properties").properties().forEach(
                entry -> properties.put(entry.getKey(), entry.getValue().asText()));
        KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
        PRODUCERS.add(producer);
        producer.initTransactions();
        producer.beginTransaction();
        for (String partition : request.get("partitions").asText().split(",")) {
            int colon = partition.lastIndexOf(':');
            int number = Integer.parseInt(partition.substring(colon + 1));
            producer.send(new ProducerRecord<>(partition.substring(0, colon), number, null, new byte[1])).get();
        }
        return JSON.createObjectNode().put("opened", true);
    }

    private static ObjectNode leave() throws Exception {
        // As a producer that dies: what it began is left to its coordinator.
        for (KafkaProducer<byte[], byte[]> producer : PRODUCERS) {
            producer.close(Duration.ZERO);
        }
        PRODUCERS.clear();
        for (AutoCloseable member : MEMBERS) {
            member.close();
        }
        MEMBERS.clear();
        return JSON.createObjectNode().put("left", true);
    }

    private static ObjectNode answer(JsonNode request) throws Exception {
        switch (request.get("do").asText()) {
            case "tool":
                return runTool(request);
            case "join":
                return join(request);
            case "share":
                return share(request);
            case "open":
                return open(request);
            case "leave":
                return leave();
            default:
                throw new IllegalArgumentException("do: tool, join, share, open or leave, not " + request.get("do"));
        }
    }

    public static void main(String[] args) throws Exception {
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream answers = System.out;
        System.setIn(input());
        System.setOut(output(false));
        System.setErr(output(true));
        trapExits();
        answerAtTheEnd(answers);
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            answers.println(answer(JSON.readTree(line)));
            answers.flush();
        }
        Runtime.getRuntime().halt(0);
    }
}
