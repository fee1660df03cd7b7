import java.time.Duration;

/** A member of a share group in a process of its own, which holds what comes until it is killed. */
public final class ShareHolder {
    private ShareHolder() {}

    public static void main(String[] arguments) throws Exception {
        var member = Shares.member(arguments[0], arguments[1], Shares.EXPLICIT);
        System.out.println("holds " + Shares.poll(member).size());
        System.out.flush();
        Thread.sleep(Duration.ofMinutes(2).toMillis());
    }
}
