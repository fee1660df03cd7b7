/** The checks on the Java clients: producer, consumer, groups, admin. */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) {
        Check part = new Check("java");
        ProduceConsume.run(part);
        Groups.run(part);
        AdminTopics.run(part);
        AdminConfigs.run(part);
        AdminGroups.run(part);
        AdminCluster.run(part);
        part.end();
    }
}
