import java.io.File;
import java.io.FileInputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;

/** Puts a file on standard output, in one of the ways that Java programs have. */
public class Read {
    public static void main(String[] arguments) throws Exception {
        Path path = Path.of(arguments[1]);
        OutputStream out = System.out;
        switch (arguments[0]) {
        case "length": // asks for the size first, as old programs do
            File file = path.toFile();
            byte[] content = new byte[(int) file.length()];
            try (InputStream in = new FileInputStream(file)) {
                if (in.readNBytes(content, 0, content.length) != content.length || in.read() >= 0)
                    throw new Exception("the size was wrong");
            }
            out.write(content);
            break;
        case "bytes":
            out.write(Files.readAllBytes(path));
            break;
        case "map":
            try (FileChannel channel = FileChannel.open(path)) {
                byte[] mapped = new byte[(int) channel.size()];
                channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size()).get(mapped);
                out.write(mapped);
            }
            break;
        case "transfer":
            try (FileChannel channel = FileChannel.open(path)) {
                channel.transferTo(0, channel.size(), Channels.newChannel(out));
            }
            break;
        case "copy":
            Files.copy(path, Path.of(arguments[2]));
            break;
        default:
            throw new Exception("no such way");
        }
        out.flush();
    }
}
