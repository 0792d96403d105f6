"""A page of HTML as its reader needs it: what it shows, what it loads, whether it is whole."""

from html.parser import HTMLParser

VOID = {"meta", "img", "br", "path", "use", "rect"}


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.links, self.images, self.words, self.open = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name.rpartition(":")[2] in ("src", "href"):
                self.links.append(value)
        if tag == "img":
            self.images.append(dict(attributes)["src"])

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())
