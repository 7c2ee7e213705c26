using System;
using System.IO;

/// Puts a file on standard output, in one of the ways that .NET programs have.
class Read
{
    static byte[] ByLength(string path)
    {
        var content = new byte[new FileInfo(path).Length];
        using (var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read))
        {
            int got = 0, more;
            while (got < content.Length && (more = stream.Read(content, got, content.Length - got)) > 0)
                got += more;
            if (got != content.Length || stream.ReadByte() >= 0)
                throw new Exception("the size was wrong");
        }
        return content;
    }

    static byte[] Content(string way, string path)
    {
        switch (way)
        {
            case "all": return File.ReadAllBytes(path);
            case "length": return ByLength(path);
            case "both": // asks for reading and writing, as this constructor does
                using (var stream = new FileStream(path, FileMode.Open))
                    return new byte[0];
            default: throw new Exception("no such way");
        }
    }

    static int Main(string[] arguments)
    {
        try
        {
            var content = Content(arguments[0], arguments[1]);
            using (var output = Console.OpenStandardOutput())
                output.Write(content, 0, content.Length);
            return 0;
        }
        catch (Exception failure)
        {
            Console.Error.WriteLine(failure.GetType().Name + ": " + failure.Message);
            return 1;
        }
    }
}
