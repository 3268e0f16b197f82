"""A chat client in a terminal. It keeps all conversations of its user in a file, and whatever fails, it misses
nothing and sends nothing twice: not when it is killed, not when the server is.

    pip install "python-socketio[client]"
    TOKEN=… python client.py http://127.0.0.1:5000 copy.db RECEIVER

It sends each line that you type to the user RECEIVER, an id, and prints what arrives. Without RECEIVER it only listens.
"""

import base64, json, os, sqlite3, sys, threading, time, urllib.request, uuid
import socketio  # python-socketio

url, file, *rest = sys.argv[1:]
receiver = rest[0] if rest else None
token = os.environ["TOKEN"]
me = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))["userId"]

# ---- The copy. The library calls each handler in a thread of its own, so one lock guards it. ----
lock = threading.RLock()
db = sqlite3.connect(file, check_same_thread=False)
db.executescript("""
    CREATE TABLE IF NOT EXISTS messages(id TEXT PRIMARY KEY, updated_at TEXT, message TEXT);
    CREATE TABLE IF NOT EXISTS unsent(number INTEGER PRIMARY KEY, id TEXT, receiver TEXT, text TEXT);
    CREATE TABLE IF NOT EXISTS cursor(value TEXT); -- everything that happened up to this point is in `messages`
""")

def say(line):
    with lock:
        print(line, flush=True)

def keep(message):
    """Takes a message into the copy. It can come twice, live and from the catching up, and the older version last."""
    _id, sender, changed = message["_id"], message["sender"], message["updatedAt"]
    with lock, db:
        known = db.execute("SELECT updated_at FROM messages WHERE id = ?", [_id]).fetchone()
        if not known or known[0] <= changed:
            db.execute("REPLACE INTO messages VALUES (?, ?, ?)", [_id, changed, json.dumps(message)])
    if known:
        return
    say(f"{'me' if sender == me else sender}: {message['message']}")
    if sender != me:  # The message is safe now, so tell its sender. This confirms all messages up to this one.
        try:
            sio.emit("mark_read" if sender == receiver else "mark_delivered", {"peerId": sender, "upTo": _id})
        except socketio.exceptions.SocketIOError:
            pass  # The connection is gone. The next message confirms this one, too.

# ---- Receive. ----
sio = socketio.Client(reconnection_delay_max=5)

@sio.on(f"receive_message_{me}")
def receive(message, _at=None):
    keep(message)

@sio.on("message_sent")  # by this user, on another device
def sent_elsewhere(message, _at=None):
    keep(message)

@sio.on("messages_read")
def read(receipt, _at=None):
    for _ in range(50):  # The answer that brings our message is handled by another thread, perhaps a moment later.
        with lock:
            row = db.execute("SELECT message FROM messages WHERE id = ?", [receipt["upTo"]]).fetchone()
        if row:
            break
        time.sleep(0.1)
    text = json.loads(row[0])["message"] if row else ""
    say(f"messages_read by {receipt['userId']} up to: {text}")

# ---- Catch up. The cursor moves here only, with the messages before it: two handlers can run in either order. ----
catching_up = threading.Lock()

def catch_up():
    with catching_up:
        cursor = (db.execute("SELECT value FROM cursor").fetchone() or [None])[0]
        more = True
        while more:
            page = ask("sync", {"since": cursor} if cursor else {})
            if not page["ok"] and page["error"]["code"] == "sync_reset":
                cursor = None  # The database is another one: begin anew.
                continue
            if cursor is None:
                fetch_history()  # What was there before our first cursor.
            for event in page["events"]:
                if event["type"] == "message":
                    keep(event["message"])
            cursor, more = page["next"], page["hasMore"]
            with lock, db:
                db.execute("DELETE FROM cursor")
                db.execute("INSERT INTO cursor VALUES (?)", [cursor])

def fetch_history():
    """All conversations. The list is read twice: a conversation can change its place while we read."""
    headers = {"Authorization": f"Bearer {token}"}
    for _ in range(2):
        next_page = {}
        while next_page is not None:
            page = ask("conversations", {"limit": 200, **next_page})
            for conversation in page["conversations"]:
                request = urllib.request.Request(f"{url}/chat/history/{me}/{conversation['peerId']}", headers=headers)
                for message in insist(lambda: json.load(urllib.request.urlopen(request))):
                    keep(message)
            next_page = {"cursor": page["next"]} if "next" in page else None

# ---- Send. A text is in the file before it is sent, and is sent until an answer comes. The server stores each
# `clientMessageId` once, so it does no harm if only the answer was lost. One at a time, so that they keep their order. ----
def send_all():
    while True:
        with lock:
            row = db.execute("SELECT number, id, receiver, text FROM unsent ORDER BY number LIMIT 1").fetchone()
        if row is None:
            return
        number, client_message_id, to, text = row
        answer = ask("send_message", {"receiverId": to, "message": text, "clientMessageId": client_message_id})
        if answer["ok"]:
            keep(answer["message"])
        else:
            print("not sent:", answer["error"]["message"], file=sys.stderr)
        with lock, db:
            db.execute("DELETE FROM unsent WHERE number = ?", [number])

def ask(event, payload):
    return insist(lambda: sio.call(event, payload, timeout=10))

def insist(request):
    """Repeats a request for as long as there is no answer, or the answer is "later"."""
    while True:
        try:
            answer = request()
            error = answer.get("error", {}) if isinstance(answer, dict) else {}
            if "retryAfterMs" not in error:
                return answer
            sio.sleep(error["retryAfterMs"] / 1000)
        except (socketio.exceptions.SocketIOError, OSError):
            sio.sleep(0.5)  # The connection is gone. The library makes a new one.

# ---- Connect. The library repeats it when a connection breaks, and calls `auth` each time. ----
@sio.event
def connect():
    sio.start_background_task(catch_up)

@sio.event
def connect_error(refusal):
    if isinstance(refusal, dict) and refusal.get("message") == "Authentication error":
        print(refusal["message"], refusal.get("data"), file=sys.stderr)
        os._exit(1)  # Here an app asks its backend for a new token.

def type_and_send():
    send_all()  # What a killed process left.
    for line in sys.stdin if receiver else []:
        with lock, db:
            db.execute("INSERT INTO unsent(id, receiver, text) VALUES (?, ?, ?)", [str(uuid.uuid4()), receiver, line.rstrip("\n")])
        send_all()

def move_on():
    while True:
        sio.sleep(60)
        catch_up()  # So that the cursor moves on, and little is to be read again after a crash.

sio.start_background_task(type_and_send)
sio.start_background_task(move_on)
while True:
    try:
        sio.connect(url, auth=lambda: {"token": token}, wait_timeout=10)
        sio.wait()  # Until the server ends the connection, because it stops: the library does not connect again then.
    except socketio.exceptions.ConnectionError:
        pass
    sio.disconnect()  # What is left of it.
    sio.sleep(1)
