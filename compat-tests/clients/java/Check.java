import java.time.Duration;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * One line per check: `ok PART: name` or `FAILED PART: name: why`. A check is code that throws when
 * an answer is not exactly what it must be; it has a deadline, and one that hangs is left behind.
 */
final class Check {
    interface Body {
        void run() throws Exception;
    }

    static final String BOOTSTRAP = System.getenv("BOOTSTRAP");
    /** Old enough to be no other time, and young enough not to be deleted by retention. */
    static final long START = System.currentTimeMillis() - 3_600_000;
    private static final String RUN_ID = System.getenv("RUN_ID");
    private static final ExecutorService THREADS = Executors.newCachedThreadPool(runnable -> {
        Thread thread = new Thread(runnable, "check");
        thread.setDaemon(true);
        return thread;
    });

    private final String part;
    private int failures;

    Check(String part) {
        this.part = part;
    }

    void check(String name, Body body) {
        check(name, 60, body);
    }

    void check(String name, int seconds, Body body) {
        Callable<Void> call = () -> {
            body.run();
            return null;
        };
        Future<Void> running = THREADS.submit(call);
        try {
            running.get(seconds, TimeUnit.SECONDS);
            System.out.println("ok " + part + ": " + name);
        } catch (ExecutionException error) {
            error.getCause().printStackTrace();
            fail(name, error.getCause().toString());
        } catch (TimeoutException error) {
            running.cancel(true);
            fail(name, "not done after " + seconds + " s");
        } catch (InterruptedException error) {
            fail(name, "interrupted");
        }
        System.out.flush();
    }

    private void fail(String name, String reason) {
        failures++;
        String line = reason.replaceAll("\\s+", " ");
        System.out.println("FAILED " + part + ": " + name + ": " + line);
    }

    /** Says that all checks ran, and leaves even if a hung check still has threads. */
    void end() {
        System.out.println("end " + part);
        System.out.flush();
        Runtime.getRuntime().halt(failures == 0 ? 0 : 1);
    }

    /** A topic or group name that no other run uses. */
    static String unique(String name) {
        return name + "-" + RUN_ID;
    }

    static void equal(Object actual, Object expected, String what) {
        if (!Objects.equals(actual, expected)) {
            throw new AssertionError(what + ": got " + shorten(actual) + ", expected "
                + shorten(expected));
        }
    }

    static void that(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    private static String shorten(Object value) {
        String text = String.valueOf(value);
        return text.length() <= 600 ? text : text.substring(0, 600) + "...";
    }

    /** The body must throw exactly this class, bare or as the cause of an ExecutionException. */
    static <E extends Throwable> E raises(Class<E> kind, Callable<?> body) {
        Object result;
        try {
            result = body.call();
        } catch (Throwable error) {
            Throwable inner = error instanceof ExecutionException ? error.getCause() : error;
            if (inner.getClass() == kind) {
                return kind.cast(inner);
            }
            throw new AssertionError("expected " + kind.getSimpleName() + ", got " + inner, inner);
        }
        throw new AssertionError("expected " + kind.getSimpleName() + ", got " + shorten(result));
    }

    /** Calls the body until it says true. */
    static void eventually(int seconds, String what, Callable<Boolean> body) throws Exception {
        long end = System.nanoTime() + Duration.ofSeconds(seconds).toNanos();
        while (!body.call()) {
            that(System.nanoTime() < end, what + ": not within " + seconds + " s");
            Thread.sleep(20);
        }
    }

    /**
     * Waits until the body gives this value: a broker may answer an admin request before the change
     * has reached everything that reads it.
     */
    static <T> void soonEqual(String what, T expected, Callable<T> body) throws Exception {
        long end = System.nanoTime() + Duration.ofSeconds(10).toNanos();
        T actual = body.call();
        while (!Objects.equals(actual, expected) && System.nanoTime() < end) {
            Thread.sleep(20);
            actual = body.call();
        }
        equal(actual, expected, what);
    }
}
