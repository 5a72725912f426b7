class HistoryRouter(object):
    def db_for_read(self, model, **hints):
        return "history" if model.__name__ == "Position" else None

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return (model_name == "position") == (db == "history") if app_label == "vehicles" else None
