"""Makes the documents of this folder; they are kept, so that tests need no Python.

    pip install reportlab python-docx openpyxl python-pptx odfpy ebooklib pypdf pillow
    python make.py
"""

import datetime
import io
import pathlib

HERE = pathlib.Path(__file__).parent


def make_pdfs():
    from pypdf import PdfReader, PdfWriter
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen import canvas
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table

    styles = getSampleStyleSheet()
    story = []
    for page in range(1, 13):
        story.append(Paragraph(f"Chapter {page}: Station log", styles["Heading1"]))
        story.append(
            Paragraph(
                f"On day {page} the efficient crew of station number {page * 111} measured the inflow of the river "
                f"and found {page * 7} millimetres of sediment. The office confirmed the finding before noon, and "
                "nobody raised an objection against the method that had been agreed upon in spring.",
                styles["BodyText"],
            )
        )
        story.append(Spacer(1, 12))
        story.append(Paragraph(f"The keeper of page {page} signs with the code KEY-{page:04d}.", styles["BodyText"]))
        if page == 3:
            story.append(Table([["Gauge", "Level"], ["North", "41 cm"], ["South", "38 cm"]]))
        story.append(PageBreak())
    SimpleDocTemplate(str(HERE / "station-log.pdf"), pagesize=A4, title="Log of the river station").build(story)

    page = canvas.Canvas(str(HERE / "hyphens.pdf"), pagesize=A4)
    page.setFont("Helvetica", 11)
    for i, line in enumerate(
        [
            "The administration of the harbour has published a compre-",
            "hensive list of all vessels that entered the inner basin dur-",
            "ing the past season, with the names of owners and masters.",
            "A second list follows.",
        ]
    ):
        page.drawString(72, 760 - 14 * i, line)
    page.save()

    pdfmetrics.registerFont(UnicodeCIDFont("HeiseiMin-W3"))
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    page = canvas.Canvas(str(HERE / "cjk.pdf"), pagesize=A4)
    page.setFont("HeiseiMin-W3", 12)
    page.drawString(72, 760, "吾輩は猫である。名前はまだ無い。")
    page.showPage()
    page.setFont("STSong-Light", 12)
    page.drawString(72, 760, "学而时习之，不亦说乎。")
    page.save()

    page = canvas.Canvas(str(HERE / "two-columns.pdf"), pagesize=A4)
    page.setFont("Helvetica", 10)
    for column, name in enumerate(["left", "right"]):
        for i in range(20):
            page.drawString(60 + 270 * column, 760 - 12 * i, f"In the {name} column line {i} tells of the matter at hand.")
    page.save()

    writer = PdfWriter()
    writer.append(PdfReader(HERE / "hyphens.pdf"))
    writer.encrypt("secret")
    writer.write(HERE / "encrypted.pdf")
    writer = PdfWriter()
    writer.append(PdfReader(HERE / "hyphens.pdf"))
    writer.encrypt(user_password="", owner_password="owner")
    writer.write(HERE / "owner-password.pdf")

    from PIL import Image

    picture = io.BytesIO()
    Image.new("L", (40, 40), 128).save(picture, "PNG")
    picture.seek(0)
    (HERE / "picture.png").write_bytes(picture.getvalue())
    from reportlab.lib.utils import ImageReader

    page = canvas.Canvas(str(HERE / "scan.pdf"), pagesize=A4)
    page.drawImage(ImageReader(picture), 0, 0, 595, 842)
    page.save()

    page = canvas.Canvas(str(HERE / "form.pdf"), pagesize=A4)
    page.drawString(72, 760, "Application for a mooring")
    page.acroForm.textfield(name="vessel", value="Saint Brendan", x=72, y=700, width=200, height=20)
    page.save()


def make_docx():
    import docx
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    document = docx.Document()
    document.core_properties.title = "Handbook of the lighthouse"
    document.add_heading("Handbook of the lighthouse", 0)
    document.add_heading("Duties of the keeper", 1)
    document.add_paragraph("The keeper lights the lamp at dusk and notes the hour in the log.")
    document.add_paragraph("Trim the wick", style="List Bullet")
    document.add_paragraph("Wind the clockwork", style="List Bullet")
    document.add_paragraph("Climb the stairs", style="List Number")
    document.add_paragraph("Open the shutters", style="List Number")
    document.add_heading("Stores", 2)
    table = document.add_table(rows=1, cols=3)
    for cell, text in zip(table.rows[0].cells, ["Item", "Stock", "Shelf"]):
        cell.text = text
    for row in [("Lamp oil", "120 litres", "B-7"), ("Spare wicks", "44", "C-2")]:
        for cell, text in zip(table.add_row().cells, row):
            cell.text = text
    paragraph = document.add_paragraph("Old entries were ")
    deleted = OxmlElement("w:del")
    run = OxmlElement("w:r")
    text = OxmlElement("w:delText")
    text.text = "never "
    run.append(text)
    deleted.append(run)
    paragraph._p.append(deleted)
    paragraph.add_run("kept.")
    paragraph.add_run(" Line one\tand tab")
    document.sections[0].header.paragraphs[0].text = "Lighthouse service, confidential"
    document.add_heading("Weather", 1)
    document.add_paragraph("Grüße aus 東京: the barometer fell to 975 hPa — “a storm”.")
    document.save(HERE / "handbook.docx")

    # Footnotes, which the library does not write.
    import zipfile

    source = zipfile.ZipFile(HERE / "handbook.docx")
    parts = {name: source.read(name) for name in source.namelist()}
    source.close()
    parts["word/document.xml"] = parts["word/document.xml"].replace(
        b"notes the hour in the log.</w:t></w:r>",
        b'notes the hour in the log.</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r>',
    )
    parts["word/footnotes.xml"] = (
        b'<?xml version="1.0" encoding="UTF-8"?><w:footnotes '
        b'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        b'<w:footnote w:id="0" w:type="separator"><w:p><w:r><w:separator/></w:r></w:p></w:footnote>'
        b'<w:footnote w:id="2"><w:p><w:r><w:t>Ink of iron gall is used.</w:t></w:r></w:p></w:footnote></w:footnotes>'
    )
    parts["word/_rels/document.xml.rels"] = parts["word/_rels/document.xml.rels"].replace(
        b"</Relationships>",
        b'<Relationship Id="rIdFn" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/footnotes" '
        b'Target="footnotes.xml"/></Relationships>',
    )
    with zipfile.ZipFile(HERE / "handbook.docx", "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in parts.items():
            target.writestr(name, data)


def make_pptx():
    from pptx import Presentation
    from pptx.util import Inches

    deck = Presentation()
    deck.core_properties.title = "Harbour plan"
    for title, body, notes in [
        ("Harbour plan", "What changes next year", ""),
        ("Dredging", "The basin is dredged to nine metres", "Mention the cost of the barge"),
        ("Ferries", "Two ferries instead of one", ""),
    ]:
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = body
        if notes:
            slide.notes_slide.notes_text_frame.text = notes
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "Timetable"
    table = slide.shapes.add_table(2, 2, Inches(1), Inches(2), Inches(4), Inches(1)).table
    for at, text in {(0, 0): "Pier", (0, 1): "Departs", (1, 0): "East", (1, 1): "07:15"}.items():
        table.cell(*at).text = text
    deck.save(HERE / "harbour.pptx")


def make_xlsx():
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Catches"
    sheet.append(["Date", "Boat", "Species", "Weight", "Share", "Price"])
    for row in [
        (datetime.date(2024, 3, 5), "Aurora", "Cod", 1234.5, 0.256, 19.9),
        (datetime.datetime(2024, 3, 6, 14, 30), "Boreas", "Haddock", 987, 0.1, 1250),
    ]:
        sheet.append(row)
        sheet.cell(sheet.max_row, 4).number_format = "#,##0.00"
        sheet.cell(sheet.max_row, 5).number_format = "0.0%"
        sheet.cell(sheet.max_row, 6).number_format = '"€"#,##0.00'
    other = book.create_sheet("Crew")
    other.append(["Name", "Rank"])
    other.append(["Ingrid Ólafsdóttir", "skipper"])
    book.save(HERE / "catches.xlsx")


def make_opendocument():
    from odf import text as t
    from odf.dc import Title
    from odf.draw import Frame, Page, TextBox
    from odf.opendocument import OpenDocumentPresentation, OpenDocumentSpreadsheet, OpenDocumentText
    from odf.style import MasterPage, PageLayout
    from odf.table import Table, TableCell, TableRow

    document = OpenDocumentText()
    document.meta.addElement(Title(text="Almanac of tides"))
    document.text.addElement(t.H(outlinelevel=1, text="Spring tides"))
    paragraph = t.P(text="The highest water is expected on the ninth of March")
    note = t.Note(noteclass="footnote", id="n1")
    note.addElement(t.NoteCitation(text="1"))
    body = t.NoteBody()
    body.addElement(t.P(text="By the old calendar."))
    note.addElement(body)
    paragraph.addElement(note)
    document.text.addElement(paragraph)
    listed = t.List()
    for item in ["Move the boats", "Close the lock"]:
        entry = t.ListItem()
        entry.addElement(t.P(text=item))
        listed.addElement(entry)
    document.text.addElement(listed)
    table = Table(name="Times")
    for cells in [("Place", "Time"), ("Old quay", "04:12")]:
        row = TableRow()
        for text in cells:
            cell = TableCell(valuetype="string")
            cell.addElement(t.P(text=text))
            row.addElement(cell)
        table.addElement(row)
    document.text.addElement(table)
    document.save(str(HERE / "almanac.odt"))

    sheet = OpenDocumentSpreadsheet()
    table = Table(name="Buoys")
    for cells in [("Buoy", "Colour"), ("Nora", "green"), ("Otto", "red")]:
        row = TableRow()
        for text in cells:
            cell = TableCell(valuetype="string")
            cell.addElement(t.P(text=text))
            row.addElement(cell)
        row.addElement(TableCell(numbercolumnsrepeated=1000))
        table.addElement(row)
    sheet.spreadsheet.addElement(table)
    sheet.save(str(HERE / "buoys.ods"))

    deck = OpenDocumentPresentation()
    layout = PageLayout(name="layout")
    deck.automaticstyles.addElement(layout)
    master = MasterPage(name="master", pagelayoutname=layout)
    deck.masterstyles.addElement(master)
    for text in ["Signals by day", "Signals by night"]:
        page = Page(masterpagename=master)
        frame = Frame(width="10cm", height="5cm", x="1cm", y="1cm")
        box = TextBox()
        box.addElement(t.P(text=text))
        frame.addElement(box)
        page.addElement(frame)
        deck.presentation.addElement(page)
    deck.save(str(HERE / "signals.odp"))


def make_epub():
    from ebooklib import epub

    book = epub.EpubBook()
    book.set_identifier("island")
    book.set_title("Letters from the island")
    book.set_language("en")
    chapters = []
    for number, (name, body) in enumerate(
        [
            ("The crossing", "<h1>The crossing</h1><p>We left the mainland under a grey sky.</p>"),
            ("The winter", "<p>Snow closed the only road for eleven weeks.</p>"),
        ]
    ):
        chapter = epub.EpubHtml(title=name, file_name=f"chapter-{number}.xhtml", lang="en")
        chapter.content = f"<html><head><title>{name}</title></head><body>{body}</body></html>"
        book.add_item(chapter)
        chapters.append(chapter)
    book.toc = chapters
    book.add_item(epub.EpubNcx())
    book.spine = chapters
    epub.write_epub(str(HERE / "island.epub"), book)


if __name__ == "__main__":
    make_pdfs()
    make_docx()
    make_pptx()
    make_xlsx()
    make_opendocument()
    make_epub()
