import java.nio.file.Files;
import java.nio.file.Path;

/** Copies as a Java program of an agency would: by the size that the file says it has. */
public class Copy {
    public static void main(String[] arguments) throws Exception {
        Files.copy(Path.of(arguments[0]), Path.of(arguments[1]));
        System.out.println(Path.of(arguments[0]).toFile().length());
    }
}
