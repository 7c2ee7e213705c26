/* See incident_page.h. */
#include "tools/incident_page.h"

#include "base/clock.h"
#include "base/json.h"
#include "tools/incident_file.h"

#include <inttypes.h>
#include <string.h>

enum {
    JST_S = 9 * 3600,
    WHOLE_MAX = 16, /* a text as short as this is not broken into lines */
};

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"ja\"><head><meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
    "'unsafe-inline'\">\n<style>\n"
    "@page { size: A4; margin: 18mm 15mm; }\n"
    "body { font: 10.5pt/1.5 'Noto Sans CJK JP', 'IPAexGothic', 'Hiragino Sans', 'Yu Gothic', "
    "Meiryo, sans-serif; color: #000; max-width: 180mm; margin: 0 auto; }\n"
    "@media print { body { max-width: none; margin: 0; } }\n"
    "h1 { font-size: 17pt; border-bottom: 2px solid #000; margin-bottom: 4mm; }\n"
    "h2 { font-size: 12.5pt; border-left: 2mm solid #444; padding-left: 2mm; margin-top: 8mm; "
    "break-after: avoid; }\n"
    ".en { color: #444; font-size: 85%; font-weight: normal; }\n"
    "table { border-collapse: collapse; width: 100%; margin: 2mm 0; font-size: 9pt; }\n"
    "thead { display: table-header-group; } tr { break-inside: avoid; }\n"
    "th, td { border: 1px solid #888; padding: 1mm 1.5mm; text-align: left; vertical-align: top; "
    "overflow-wrap: break-word; }\n"
    "th { background: #eee; font-weight: normal; } td.n { text-align: right; } .k { white-space: "
    "nowrap; }\n"
    ".field { border: 1px solid #888; padding: 2mm; min-height: 12mm; white-space: pre-wrap; "
    "break-inside: avoid; }\n"
    ".blank { border: 1.5px dashed #b00; min-height: 25mm; color: #b00; }\n"
    ".bad { color: #b00; font-weight: bold; }\n"
    ".note { font-size: 9pt; color: #333; }\n"
    "</style>\n";

/* --- text ------------------------------------------------------------------------------------- */

static void put_text(FILE *out, const char *text)
{
    for (const char *c = text ? text : ""; *c; c++) {
        switch (*c) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc((unsigned char)*c < 0x20 && *c != '\n' && *c != '\t' ? '?' : *c, out);
        }
    }
}

static void put_both(FILE *out, const char *element, const char *japanese, const char *english)
{
    fprintf(out, "<%s>%s <span class=\"en\">%s</span></%s>\n", element, japanese, english, element);
}

static void put_seconds(FILE *out, int64_t seconds)
{
    char text[RFC3339_SIZE];
    rfc3339_format(seconds + JST_S, text);
    fprintf(out, "<span class=\"k\">%.10s</span> <span class=\"k\">%.8s</span>", text, text + 11);
}

static void put_time(FILE *out, const struct json *object, const char *key)
{
    int64_t seconds;
    const char *text = json_get_text(object, key);
    if (text && rfc3339_parse(text, &seconds))
        put_seconds(out, seconds);
    else if (json_get_integer(object, key, &seconds))
        put_seconds(out, seconds);
    else
        fputs("-", out);
}

static int64_t number_of(const struct json *object, const char *key)
{
    int64_t number = 0;
    (void)json_get_integer(object, key, &number);
    return number;
}

/* --- tables ----------------------------------------------------------------------------------- */

/* How a member of a row is shown. */
enum cell { CELL_TEXT, CELL_NUMBER, CELL_TIME, CELL_WHO };

struct column {
    const char *key, *japanese, *english;
    enum cell cell;
};

static void put_cell(FILE *out, const struct json *row, const struct column *column)
{
    const char *text = json_get_text(row, column->key);
    bool kept = text && column->cell == CELL_TEXT && strlen(text) <= WHOLE_MAX;
    fputs(column->cell == CELL_NUMBER ? "<td class=\"n\">"
          : kept                      ? "<td class=\"k\">"
                                      : "<td>",
          out);
    switch (column->cell) {
    case CELL_TEXT:
        put_text(out, text);
        break;
    case CELL_NUMBER:
        fprintf(out, "%" PRId64, number_of(row, column->key));
        break;
    case CELL_TIME:
        put_time(out, row, column->key);
        break;
    case CELL_WHO:
        put_text(out, json_get_text(row, "user"));
        if (number_of(row, "uid") >= 0)
            fprintf(out, " uid %" PRId64, number_of(row, "uid"));
        break;
    }
    fputs("</td>", out);
}

static void put_table(FILE *out, const struct json *rows, const struct column *columns,
                      size_t count)
{
    if (json_array_count(rows) == 0) {
        put_both(out, "p", "該当なし", "None");
        return;
    }
    fputs("<table><thead><tr>", out);
    for (size_t i = 0; i < count; i++)
        put_both(out, "th", columns[i].japanese, columns[i].english);
    fputs("</tr></thead><tbody>\n", out);
    for (size_t i = 0; i < json_array_count(rows); i++) {
        fputs("<tr>", out);
        for (size_t j = 0; j < count; j++)
            put_cell(out, json_array_at(rows, i), &columns[j]);
        fputs("</tr>\n", out);
    }
    fputs("</tbody></table>\n", out);
}

static void put_members(FILE *out, const struct json *object)
{
    void *cursor = NULL;
    const char *key;
    const struct json *value;
    fputs("<table><tbody>\n", out);
    while (json_next(object, &cursor, &key, &value)) {
        fputs("<tr><th>", out);
        put_text(out, key);
        fputs("</th><td>", out);
        if (json_is_object(value)) {
            put_members(out, value);
        } else if (json_text(value)) {
            put_text(out, json_text(value));
        } else {
            _cleanup_free_ char *printed = json_print(value);
            put_text(out, printed);
        }
        fputs("</td></tr>\n", out);
    }
    fputs("</tbody></table>\n", out);
}

/* --- sections --------------------------------------------------------------------------------- */

static bool is_leak(const struct json *incident)
{
    const char *kind = json_get_text(incident, "kind");
    return kind && strcmp(kind, "leak") == 0;
}

static void put_subjects(FILE *out, const struct json *incident)
{
    const struct json *users = json_get(incident, "users"), *names = json_get(incident, "names");
    for (size_t i = 0; i < json_array_count(users); i++) {
        const struct json *user = json_array_at(users, i);
        fputs(i ? ", " : "", out);
        put_text(out, json_get_text(user, "name"));
        fprintf(out, " (%" PRId64 ")", number_of(user, "uid"));
    }
    for (size_t i = 0; i < json_array_count(names); i++) {
        fputs(i || json_array_count(users) ? ", " : "", out);
        put_text(out, json_text(json_array_at(names, i)));
    }
    if (json_array_count(users) + json_array_count(names) == 0)
        fputs("すべて <span class=\"en\">all</span>", out);
}

static void put_summary(FILE *out, const struct json *dossier)
{
    const struct json *incident = json_get(dossier, "incident");
    const struct json *figures = json_get(dossier, "figures");
    static const struct {
        const char *key, *japanese, *english;
    } rows[] = {
        {"opens", "開いた回数", "opens granted"},
        {"certificates", "開かれた証明書(種類)", "certificates opened"},
        {"users", "開いた利用者", "users who opened"},
        {"denied", "拒否した要求", "requests refused"},
        {"failed", "失敗した要求", "requests failed"},
    };
    fputs("<table><tbody>\n<tr><th>番号 <span class=\"en\">No.</span></th><td>", out);
    put_text(out, json_get_text(incident, "id"));
    fputs("</td></tr>\n<tr><th>件名 <span class=\"en\">Title</span></th><td>", out);
    put_text(out, json_get_text(incident, "title"));
    fputs("</td></tr>\n<tr><th>対象期間 <span class=\"en\">Period</span></th><td>", out);
    put_time(out, incident, "since");
    fputs(" - ", out);
    put_time(out, json_get(incident, "until") ? incident : dossier,
             json_get(incident, "until") ? "until" : "made_at");
    fputs("</td></tr>\n<tr><th>対象 <span class=\"en\">About</span></th><td>", out);
    put_subjects(out, incident);
    fputs("</td></tr>\n", out);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        fprintf(out,
                "<tr><th>%s <span class=\"en\">%s</span></th><td class=\"n\">%" PRId64
                "</td></tr>\n",
                rows[i].japanese, rows[i].english, number_of(figures, rows[i].key));
    fputs("</tbody></table>\n", out);
}

static void put_fields(FILE *out, const struct json *incident)
{
    const struct json *fields = json_get(incident, "fields");
#define FIELD(name, japanese, english)                                                             \
    do {                                                                                           \
        const char *text = json_get_text(fields, name);                                            \
        put_both(out, "h2", japanese, english);                                                    \
        fputs(text ? "<div class=\"field\">" : "<div class=\"field blank\">", out);                \
        put_text(out, text ? text : "[未記入 / to be written]");                                   \
        fputs("</div>\n", out);                                                                    \
    } while (0);
    INCIDENT_FIELDS(FIELD)
#undef FIELD
}

static void put_trail(FILE *out, const struct json *trail)
{
    bool whole = false;
    (void)json_get_bool(trail, "whole", &whole);
    fprintf(out, "<p class=\"%s\">%s</p>\n", whole ? "" : "bad",
            whole ? "監査記録に改変は見つからなかった。 <span class=\"en\">The audit trail is "
                    "whole.</span>"
                  : "監査記録に欠落または改変がある。 <span class=\"en\">The audit trail is NOT "
                    "whole.</span>");
    put_members(out, trail);
    fputs(
        "<p class=\"note\">実際に読まれたバイトは記録されない。開いた事実を読んだものとして扱う。 "
        "<span class=\"en\">Which bytes a program read is not recorded; an open counts as "
        "reading.</span></p>\n",
        out);
}

static void put_rows(FILE *out, const struct json *dossier)
{
    static const struct column reads[] = {
        {"uid", "利用者", "user", CELL_WHO},
        {"name", "証明書", "certificate", CELL_TEXT},
        {"affair", "事務", "affair", CELL_TEXT},
        {"purpose", "目的", "purpose", CELL_TEXT},
        {"role", "役割", "role", CELL_TEXT},
        {"unverified_program", "プログラム(自称)", "program, as it says", CELL_TEXT},
        {"count", "回数", "count", CELL_NUMBER},
        {"first", "最初", "first", CELL_TIME},
        {"last", "最後", "last", CELL_TIME},
    };
    static const struct column refusals[] = {
        {"uid", "利用者", "user", CELL_WHO},     {"name", "証明書", "certificate", CELL_TEXT},
        {"kind", "要求", "request", CELL_TEXT},  {"reason", "理由", "reason", CELL_TEXT},
        {"count", "回数", "count", CELL_NUMBER}, {"first", "最初", "first", CELL_TIME},
        {"last", "最後", "last", CELL_TIME},
    };
    static const struct column timeline[] = {
        {"at", "日時", "time", CELL_TIME},       {"kind", "種別", "kind", CELL_TEXT},
        {"result", "結果", "result", CELL_TEXT}, {"uid", "利用者", "user", CELL_WHO},
        {"reason", "理由", "reason", CELL_TEXT}, {"name", "証明書", "certificate", CELL_TEXT},
        {"text", "内容", "text", CELL_TEXT},
    };
    static const struct column notes[] = {
        {"at", "日時", "time", CELL_TIME},
        {"by", "記入者", "by", CELL_TEXT},
        {"text", "内容", "text", CELL_TEXT},
    };
    put_both(out, "h2", "誰が何を開いたか", "Who opened what");
    put_table(out, json_get(dossier, "reads"), reads, sizeof reads / sizeof *reads);
    put_both(out, "h2", "拒否した要求", "What was refused");
    put_table(out, json_get(dossier, "refusals"), refusals, sizeof refusals / sizeof *refusals);
    put_both(out, "h2", "失敗した要求", "What failed");
    put_table(out, json_get(dossier, "failures"), refusals, sizeof refusals / sizeof *refusals);
    put_both(out, "h2", "経過", "Timeline");
    put_table(out, json_get(dossier, "timeline"), timeline, sizeof timeline / sizeof *timeline);
    bool cut = false;
    if (json_get_bool(json_get(dossier, "figures"), "timeline_cut", &cut) && cut)
        put_both(out, "p", "以降は省略した。期間を短くすること。",
                 "Cut here; choose a shorter time.");
    put_both(out, "h2", "対応の記録", "Notes");
    put_table(out, json_get(json_get(dossier, "incident"), "notes"), notes,
              sizeof notes / sizeof *notes);
}

void incident_page_write(const struct json *dossier, FILE *out)
{
    const struct json *incident = json_get(dossier, "incident");
    bool leak = is_leak(incident);
    fputs(head, out);
    fputs("<title>", out);
    put_text(out, json_get_text(incident, "title"));
    fputs("</title></head><body>\n", out);
    put_both(out, "h1", leak ? "不正アクセス行為等発生報告書" : "作動停止等発生報告書",
             leak ? "Report of a suspected leak or unauthorised access"
                  : "Report of a stoppage or malfunction");
    fputs("<p class=\"note\">法務大臣 殿 <span class=\"en\">To the Minister of Justice</span><br>"
          "技術的基準 ",
          out);
    fputs(leak ? "第3-5(2)ウ" : "第3-5(1)ウ", out);
    fputs(" による。作成 <span class=\"en\">made</span> ", out);
    put_time(out, dossier, "made_at");
    fputs(" (日本標準時 <span class=\"en\">JST</span>)</p>\n", out);
    put_summary(out, dossier);
    put_fields(out, incident);
    put_rows(out, dossier);
    put_both(out, "h2", "監査記録の状態", "State of the audit trail");
    put_trail(out, json_get(dossier, "trail"));
    put_both(out, "h2", "サービスと信頼の状態", "State of services and trust");
    put_members(out, json_get(dossier, "services"));
    fputs("</body></html>\n", out);
}
